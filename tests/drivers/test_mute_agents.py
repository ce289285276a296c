"""Agents that answer nothing: what is to be removed there does not hold the worker up again and again."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from livia.core.clock import SystemClock
from livia.core.drivers import Placement, Unreachable
from livia.core.spec import Assignment, Spec
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.drivers.amphora.mute import Mute, Prospect
from livia.pki.authority import Authority, write_private

_ASSIGNMENT = Assignment(
    fence=1,
    generation=1,
    spec=Spec(amphora_id="amphora", load_balancer_id="lb", project_id="project", interfaces=(), vips=()),
)


class SetClock(SystemClock):
    """Monotonic time as the test sets it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Silence:
    """Takes connections and says nothing. `asked`: how many it took."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        Thread(target=self._take, daemon=True).start()

    @property
    def placement(self) -> Placement:
        port: int = self._listener.getsockname()[1]
        return Placement(compute_id="host", address="127.0.0.1", agent_port=port, agent_name="host")

    @property
    def asked(self) -> int:
        return len(self._taken)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, *self._taken):
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listener.accept()[0])


@pytest.fixture
def silence() -> Iterator[Silence]:
    found = Silence()
    yield found
    found.close()


def agents(directory: Path, clock: SystemClock, connect_timeout: float = 0.2) -> Agents:
    authority = Authority.open(directory / "ca", "controllers")
    write_private(directory / "controller.pem", authority.issue("controller"))
    tls = AgentTls(certificate=directory / "controller.pem", server_ca=authority.certificate_path)
    return Agents(tls, connect_timeout=connect_timeout, clock=clock)


def test_removals_wait_once_in_a_while_for_an_agent_that_does_not_answer(tmp_path: Path, silence: Silence) -> None:
    clock = SetClock()
    ours = agents(tmp_path, clock)

    def remove(count: int) -> int:
        """How many connections so many removals made."""
        before = silence.asked
        for number in range(count):
            with pytest.raises(Unreachable, match=f"127.0.0.1:{silence.placement.agent_port} did not answer"):
                ours.remove(silence.placement, f"amphora-{number}", 1)
        return silence.asked - before

    # What timed out is not tried once more at once.
    assert remove(1) == 1
    assert remove(50) == 0
    clock.seconds += 10.0
    assert remove(50) == 1
    # What a user waits for is asked all the same.
    before = silence.asked
    with pytest.raises(Unreachable):
        ours.observe(silence.placement, "amphora-0")
    assert silence.asked > before


def test_an_agent_that_hangs_is_asked_by_one_at_a_time_whether_it_answers_again() -> None:
    clock = SetClock()
    mute = Mute(clock)

    def prospect(*, urgent: bool = True) -> Prospect:
        return mute.prospect("agent", urgent=urgent)

    calls = [mute.begin("agent") for _caller in range(4)]
    clock.seconds += 4.9
    assert prospect() is Prospect.FAIR
    clock.seconds += 0.1
    assert prospect() is Prospect.UNKNOWN
    assert [prospect(), prospect(urgent=False)] == [Prospect.NONE] * 2
    assert mute.prospect("another", urgent=True) is Prospect.FAIR
    mute.probed("agent", timed_out=True)
    # For a change again, at once; for what nobody waits for after a pause.
    assert prospect(urgent=False) is Prospect.NONE
    assert prospect() is Prospect.UNKNOWN
    mute.probed("agent", timed_out=True)
    clock.seconds += 10.0
    assert prospect(urgent=False) is Prospect.UNKNOWN
    mute.probed("agent", timed_out=False)
    # Whatever becomes of the calls of before.
    for call in calls:
        clock.seconds += 10.0
        assert prospect() is Prospect.FAIR
        mute.end("agent", call, timed_out=True)
    assert prospect(urgent=False) is Prospect.FAIR


def test_an_agent_that_is_at_one_thing_for_long_and_answers_others_is_not_mute() -> None:
    clock = SetClock()
    mute = Mute(clock)
    mute.begin("agent")
    for _second in range(20):
        clock.seconds += 1.0
        assert mute.prospect("agent", urgent=True) is Prospect.FAIR
        mute.end("agent", mute.begin("agent"), timed_out=False)


def test_a_change_does_not_wait_where_others_wait_in_vain(tmp_path: Path, silence: Silence) -> None:
    clock = SetClock()
    ours = agents(tmp_path, clock, connect_timeout=60.0)
    refused = []

    def apply() -> None:
        try:
            ours.apply(silence.placement, _ASSIGNMENT)
        except Unreachable as error:
            refused.append(str(error))

    callers = [Thread(target=apply) for _caller in range(4)]
    for each in callers:
        each.start()
    while silence.asked < 4:
        sleep(0.01)
    assert refused == []
    clock.seconds += 5.0
    # It is asked for two seconds whether it answers again, and not for sixty to do what the change needs.
    apply()
    assert silence.asked == 5
    assert len(refused) == 1
    assert f"127.0.0.1:{silence.placement.agent_port} did not answer" in refused[0]
    # Their connections end.
    silence.close()
    for each in callers:
        each.join()


def test_an_agent_that_refuses_connections_is_asked_each_time(tmp_path: Path, silence: Silence) -> None:
    ours = agents(tmp_path, SetClock())
    with pytest.raises(Unreachable):
        ours.remove(silence.placement, "amphora", 1)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    away = Placement(compute_id="other", address="127.0.0.1", agent_port=port, agent_name="other")
    for _try in range(2):
        with pytest.raises(Unreachable, match="refused"):
            ours.remove(away, "amphora", 1)
