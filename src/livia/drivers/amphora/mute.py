"""Agents that let a question time out."""

from collections.abc import Hashable
from threading import Lock

from livia.core.clock import Clock

#: seconds that pass before one is asked again
_PAUSE = 10.0


class Mute:
    """Who did not answer, and since when. A host that dies with hundreds of amphorae would otherwise cost a timeout for
    each of them, again and again, and whoever else waits for the worker's threads would never have one.

    Of all that ask, one at a time asks indeed, once in a pause; the others go without waiting for its answer.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}
        self._lock = Lock()

    def is_pointless(self, agent: Hashable) -> bool:
        """Whether the agent is not to be asked now. False makes the caller the one that asks."""
        with self._lock:
            until = self._until.get(agent)
            if until is None:
                return False
            now = self._clock.monotonic()
            if now >= until:
                self._until[agent] = now + _PAUSE
            return now < until

    def note(self, agent: Hashable, *, timed_out: bool) -> None:
        """It was asked. Who answers, or refuses at once, holds nobody up."""
        with self._lock:
            if timed_out:
                self._until[agent] = self._clock.monotonic() + _PAUSE
            else:
                self._until.pop(agent, None)
