"""How long the end of a flow waits for its client's answer; no kernel takes part."""

from collections.abc import Callable

import pytest

from livia.agent.datagram import parting

_MARK = 0x10


class Flows:
    """The kernel's flows of one member, which a client that asks on and on keeps awaited but for one look."""

    def __init__(self, answered_at: int) -> None:
        self.looks = 0
        self._answered_at = answered_at
        self._there = True

    def occupied(self) -> tuple[int, int]:
        return 1, 100

    def end_answered(self, mark: int) -> None:
        assert mark == _MARK
        self.looks += 1
        self._there = self._there and self.looks != self._answered_at

    def has(self, mark: int) -> bool:
        assert mark == _MARK
        return self._there

    def close(self) -> None:
        pass


class Clock:
    """Of an agent that waits for a CPU for so many seconds whenever it looks at the clock."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self._step = step

    def monotonic(self) -> float:
        self.now += self._step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, float], int]:
    """Await the answer of a client that is seen answered at one look only; how often was looked."""

    def work(answered_at: int, step: float) -> int:
        flows = Flows(answered_at)
        monkeypatch.setattr(parting, "Conntrack", lambda namespace: flows)
        monkeypatch.setattr(parting, "time", Clock(step))
        parting.await_answers("a namespace", {_MARK})
        return flows.looks

    return work


def test_an_agent_that_seldom_gets_a_cpu_looks_as_often_as_another_one(look: Callable[[int, float], int]) -> None:
    assert look(20, 1.0) == 20


def test_nobody_waits_for_ever_for_an_answer_that_never_comes(look: Callable[[int, float], int]) -> None:
    assert look(10**9, 1.0) == 40
    # 0.5 seconds of looks that are 5 ms apart.
    assert look(10**9, 0.0) in range(98, 103)
