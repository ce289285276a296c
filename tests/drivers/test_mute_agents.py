"""Agents that answer nothing: what is to be removed there does not hold the worker up again and again."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from livia.core.clock import SystemClock
from livia.core.drivers import Placement, Unreachable
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.pki.authority import Authority, write_private


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


def agents(directory: Path, clock: SystemClock) -> Agents:
    authority = Authority.open(directory / "ca", "controllers")
    write_private(directory / "controller.pem", authority.issue("controller"))
    tls = AgentTls(certificate=directory / "controller.pem", server_ca=authority.certificate_path)
    return Agents(tls, connect_timeout=0.2, clock=clock)


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

    # The second one is urllib3's other try.
    assert remove(1) == 2
    assert remove(50) == 0
    clock.seconds += 10.0
    assert remove(50) == 2
    # What a user waits for is asked all the same.
    before = silence.asked
    with pytest.raises(Unreachable):
        ours.observe(silence.placement, "amphora-0")
    assert silence.asked > before


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
