"""After every change a restart from the files on disk would give what runs: random sequences of changes.

LIVIA_CHANGE_SEQUENCES: how many sequences, where a run of CI has few. A failure prints the sequence and its seed.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, note, settings
from hypothesis import strategies as st

from livia.agent.haproxy.runtime import RuntimeApiError, Worker
from livia.agent.plumbing import kernel
from livia.core.spec import Spec
from tests.agent.changes import ADDRESSES, AT_RUNTIME, BY_RELOAD, TEXTS, beginning
from tests.agent.exchange import still_answers
from tests.agent.lab import VIP, Lab
from tests.agent.restarted import Restarted, differences, state
from tests.waiting import wait_for

_SEQUENCES = int(os.environ.get("LIVIA_CHANGE_SEQUENCES", "10"))
_RESTART = "restart the agent"
_HOLD = "hold a connection"
_RELEASE = "release the connections"
_UNDO = "undo the last change"
#: one change in five or so needs a reload, which costs as much as ten that do not
_KINDS = [*AT_RUNTIME, *AT_RUNTIME, *AT_RUNTIME, *BY_RELOAD, _RESTART, *[_HOLD, _UNDO] * 3, *[_RELEASE] * 2]
_STEPS = st.lists(st.tuples(st.sampled_from(_KINDS), st.integers(0, 5), st.integers(0, 255)), min_size=8, max_size=16)


class Scene:
    """An agent with one amphora, members, a client that holds connections, and the HAProxy that would start."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        members = lab.member("one", ADDRESSES[0])
        kernel.batch(members, [f"address add {address}/24 dev eth0" for address in ADDRESSES[1:]])
        self.client = lab.namespace("client", "172.31.213.100")
        self.amphora = lab.config.state_directory / "amphorae" / "amphora-5"
        self.worker = Worker(self.amphora)
        self.restarted = Restarted(
            lab.config.haproxy, self.amphora, lab.directory / "restarted", f"{self.client}-restarted"
        )
        self.generation = 0
        self.held: list[socket.socket] = []

    def put(self, spec: Spec) -> None:
        self.generation += 1
        self.lab.apply(spec, self.generation, TEXTS)

    def hold(self) -> None:
        """Have a connection answered that then stays open, if the listener of bytes and a member are there."""

        def connect() -> socket.socket | None:
            stream = socket.socket()
            stream.settimeout(3)
            with suppress(OSError):
                stream.connect((VIP, 82))
                if still_answers(stream):
                    return stream
            stream.close()
            return None

        stream = kernel.inside(self.client, connect)
        if stream is not None:
            self.held.append(stream)

    def release(self) -> None:
        """Nothing that happened meanwhile has ended the connections that were held."""
        while self.held:
            with self.held.pop() as stream:
                assert still_answers(stream)

    def settled(self, spec: Spec) -> bool:
        """Whether HAProxy has the servers of the file and no others."""
        expected = {
            (f"{pool.id}:{listener.id}", member.id)
            for listener in spec.listeners
            for pool in spec.pools
            if pool.id in listener.pool_ids()
            for member in pool.members
        }
        rows = [line.split() for line in self.worker.ask("show servers state").splitlines()]
        return {(row[1], row[3]) for row in rows if len(row) >= 25 and row[0] != "#"} == expected

    def close(self) -> None:
        for stream in self.held:
            stream.close()
        self.restarted.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    lab = Lab(tmp_path_factory.mktemp("sequences"), heartbeat_interval=0.1)
    try:
        lab.start()
        scene = Scene(lab)
        try:
            yield scene
        finally:
            scene.close()
    finally:
        lab.close()


@example(
    steps=[
        ("undo the last change", 1, 39),
        ("change certificates", 2, 13),
        ("check another address", 3, 242),
        ("encrypt to members", 2, 131),
        ("tune a monitor", 5, 108),
        ("remove a member", 5, 148),
    ]
)
@example(steps=[("encrypt to members", 0, 1), ("encrypt to members", 0, 0)])
@example(steps=[("enable or disable a member", 0, 0), ("make a member a backup or not", 0, 0)])
@settings(
    max_examples=_SEQUENCES,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    # Making a sequence shorter would take minutes: each try is a dozen changes of a real HAProxy.
    phases=[Phase.explicit, Phase.generate],
    database=None,
)
@given(steps=_STEPS)
def test_a_restart_from_the_files_gives_what_runs(scene: Scene, steps: list[tuple[str, int, int]]) -> None:
    spec = previous = beginning()
    scene.put(spec)
    try:
        for kind, who, value in steps:
            note(f"{kind}, {who}, {value}")
            worker = scene.worker.pid()
            if kind == _RESTART:
                scene.lab.stop()
                scene.lab.start()
            elif kind == _HOLD:
                scene.hold()
            elif kind == _RELEASE:
                scene.release()
            else:
                change = AT_RUNTIME.get(kind) or BY_RELOAD.get(kind)
                previous, spec = spec, change(spec, who, value) if change is not None else previous
                if spec != previous:
                    scene.put(spec)
                    event(f"{kind}: {'at run time' if scene.worker.pid() == worker else 'by a reload'}")
            if not scene.held:
                _compare(scene, spec)
        scene.release()
        _compare(scene, spec)
    finally:
        while scene.held:
            scene.held.pop().close()


def _compare(scene: Scene, spec: Spec) -> None:
    def settled() -> bool:
        try:
            return scene.settled(spec)
        except RuntimeApiError:
            return False

    wait_for(settled)
    assert differences(state(scene.worker), scene.restarted.state()) == {}
