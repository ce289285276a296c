"""What changes without a reload, and that nobody notices: one amphora with clients that never stop."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from livia.agent.haproxy.master import Master
from livia.agent.haproxy.runtime import Worker
from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType
from livia.core.spec import PersistenceSpec, PoolSpec, Spec
from tests.agent.lab import VIP, Lab, listener, member, monitor, pool, single
from tests.agent.load import KeptLoad
from tests.waiting import wait_for


class Scene:
    """A lab with two members, a client and one amphora."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.member("one", "172.31.213.11")
        lab.member("two", "172.31.213.12")
        self.client = lab.namespace("client", "172.31.213.100")
        self.generation = 0
        self.worker = Worker(lab.config.state_directory / "amphorae" / "amphora-5")

    def apply(self, *pools: PoolSpec, **changes: object) -> None:
        self.put(single(pools, (listener(**changes),)))

    def put(self, spec: Spec) -> None:
        self.generation += 1
        self.lab.apply(spec, self.generation)

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        return self.lab.get(self.client, VIP, path, headers=headers)

    def servers(self) -> dict[str, list[str]]:
        """Fields of `show servers state` by server."""
        rows = [line.split() for line in self.worker.ask("show servers state").splitlines()]
        return {row[3]: row for row in rows if len(row) >= 25 and row[0] != "#"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    lab = Lab(tmp_path_factory.mktemp("disturbance"))
    try:
        lab.start()
        yield Scene(lab)
    finally:
        lab.close()


_ONLY = member(1)
_CHANGES: dict[str, Callable[[int], tuple[PoolSpec, dict[str, object]]]] = {
    "the only member becomes a backup": lambda n: (pool(member(1, backup=bool(n % 2)), monitor=monitor()), {}),
    "the only member is checked at another rhythm": lambda n: (pool(_ONLY, monitor=monitor(delay=1 + n, fall=n)), {}),
    "another address is checked": lambda n: (
        pool(member(1, monitor_address=f"172.31.213.{11 + n % 2}"), member(2), monitor=monitor()),
        {},
    ),
    "the address that is checked is named": lambda n: (
        pool(member(1, monitor_port=80 if n % 2 else None), monitor=monitor(type=MonitorType.TCP)),
        {},
    ),
    "a member comes to those that a cookie names": lambda n: (
        pool(_ONLY, *[member(2)] * (n % 2), persistence=PersistenceSpec(type=PersistenceType.HTTP_COOKIE)),
        {},
    ),
    "a member comes to those that share clients by hash": lambda n: (
        pool(_ONLY, *[member(2)] * (n % 2), algorithm=Algorithm.SOURCE_IP_PORT),
        {},
    ),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_it_needs_no_reload_and_no_request_fails(scene: Scene, name: str) -> None:
    change = _CHANGES[name]
    first, attributes = change(1)
    scene.apply(first, **attributes)
    worker = scene.worker.pid()
    with ExitStack() as loads:
        load = [loads.enter_context(KeptLoad(scene.client, VIP, path)) for path in ("/", "/slow")]
        for number in range(2, 5):
            wanted, attributes = change(number)
            # A server that still answers keeps its name for as long; what is fixed in it must be settled first.
            wait_for(lambda: not any(":" in server for server in scene.servers()))
            scene.apply(wanted, **attributes)
    assert [each.failures for each in load] == [[], []]
    assert scene.worker.pid() == worker
    wait_for(lambda: scene.servers().keys() == {each.id for each in wanted.members})


def test_a_replaced_server_is_what_the_file_says_and_as_healthy_as_before(scene: Scene) -> None:
    dead = {"address": "172.31.213.99", "monitor_address": "172.31.213.11", "monitor_port": 81}
    scene.apply(pool(member(1), member(2, **dead), monitor=monitor(delay=5)))
    wait_for(lambda: scene.servers()["m2"][5] == "0")
    with KeptLoad(scene.client, VIP) as load:
        scene.apply(pool(member(1), member(2, **dead), monitor=monitor(delay=6, rise=3)))
    assert load.failures == []
    assert load.served.keys() == {"one"}
    name = "pool-1:listener-1"
    beat = scene.lab.hear(lambda beat: beat.get("generation") == scene.generation)
    assert beat["pools"][name]["members"] == {"m1": "UP", "m2": "DOWN"}
    stat = scene.worker.ask("show stat").splitlines()
    titles = stat[0].lstrip("# ").split(",")
    rows = {fields[1]: fields for fields in (line.split(",") for line in stat) if len(fields) > 1}
    assert rows["m2"][titles.index("check_rise")] == "3"


def test_a_member_is_told_of_while_its_twin_stands_in(scene: Scene) -> None:
    scene.apply(pool(member(1), monitor=monitor()))
    # A byte stream that goes on keeps the old server.
    scene.apply(pool(member(1), monitor=monitor()), protocol=ListenerProtocol.TCP)
    with kernel.inside(scene.client, lambda: socket.create_connection((VIP, 80), timeout=3)) as held:
        wait_for(lambda: scene.servers() and _sessions(scene) == 1)
        scene.apply(pool(member(1, backup=True), monitor=monitor()), protocol=ListenerProtocol.TCP)
        assert scene.servers().keys() == {"m1", "m1:twin"}
        worker = scene.worker.pid()
        # What can be altered is altered on the twin.
        scene.apply(pool(member(1, backup=True, weight=7), monitor=monitor()), protocol=ListenerProtocol.TCP)
        assert scene.servers()["m1:twin"][7] == "7"
        name = "pool-1:listener-1"
        beat = scene.lab.hear(lambda beat: beat.get("generation") == scene.generation)
        assert beat["pools"][name]["members"] == {"m1": "UP"}
        assert scene.get() == (200, "one")
        held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held.recv(65536)
    wait_for(lambda: scene.servers().keys() == {"m1"} and scene.servers()["m1"][6] == "0")
    assert scene.servers()["m1"][7] == "7"
    assert scene.worker.pid() == worker


def test_an_agent_that_comes_back_while_a_twin_stands_in_settles_it_by_a_reload(scene: Scene) -> None:
    scene.apply(pool(member(1), monitor=monitor()), protocol=ListenerProtocol.TCP)
    with kernel.inside(scene.client, lambda: socket.create_connection((VIP, 80), timeout=3)) as held:
        wait_for(lambda: _sessions(scene) == 1)
        scene.apply(pool(member(1, backup=True), monitor=monitor()), protocol=ListenerProtocol.TCP)
        assert scene.servers().keys() == {"m1", "m1:twin"}
        worker = scene.worker.pid()
        scene.lab.stop()
        scene.lab.start()
        assert scene.servers().keys() == {"m1"}
        assert scene.worker.pid() != worker
        assert scene.get() == (200, "one")
        # What the old worker still has goes on to its end.
        held.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held.recv(65536)


def _sessions(scene: Scene) -> int:
    for text in scene.worker.ask("show stat").splitlines():
        fields = text.split(",")
        if fields[1] == "m1":
            return int(fields[4])
    return 0


def _ask_from(port: int) -> str:
    """Who answers a client that has this port."""
    # A connection that is reset leaves no TIME_WAIT, so its port is free for the next.
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        stream.settimeout(3)
        stream.bind(("", port))
        stream.connect((VIP, 80))
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        said = b""
        while b"\r\n\r\n" not in said or said.endswith(b"\n"):
            said += stream.recv(65536)
        return said[-3:].decode()


@pytest.mark.parametrize("protocol", [ListenerProtocol.HTTP, ListenerProtocol.TCP])
def test_address_and_port_choose_the_member(scene: Scene, protocol: ListenerProtocol) -> None:
    scene.apply(pool(member(1), member(2), algorithm=Algorithm.SOURCE_IP_PORT), protocol=protocol)

    def chosen() -> list[str]:
        return kernel.inside(scene.client, lambda: [_ask_from(port) for port in range(40000, 40012)])

    first = chosen()
    assert set(first) == {"one", "two"}
    assert chosen() == first


def test_old_workers_end_by_their_number_and_not_by_reloads(scene: Scene) -> None:
    scene.apply(pool(member(1)), protocol=ListenerProtocol.TCP)
    directory = scene.lab.config.state_directory / "amphorae" / "amphora-5"
    strict, master = Master(directory, most_leaving=2), Master(directory)
    # Also when HAProxy has only just started.
    master.reload()
    wait_for(lambda: _leaving(scene) == 0)
    with ExitStack() as streams:
        held = []
        for _ in range(4):
            stream = kernel.inside(scene.client, lambda: socket.create_connection((VIP, 80), timeout=3))
            held.append(streams.enter_context(stream))
            assert _served(stream)
            strict.reload()
        wait_for(lambda: _leaving(scene) == 2)
        # These two do not count the reloads.
        for _ in range(3):
            master.reload()
        assert [_served(stream) for stream in held] == [False, False, True, True]
    wait_for(lambda: _leaving(scene) == 0)


def _leaving(scene: Scene) -> int:
    return len(Master(scene.lab.config.state_directory / "amphorae" / "amphora-5").processes().leaving)


def _served(stream: socket.socket) -> bool:
    """Whether a connection still gets answers."""
    try:
        # No body, that could come later than the head.
        stream.sendall(b"GET /bytes/0 HTTP/1.1\r\nHost: x\r\n\r\n")
        return stream.recv(65536).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
