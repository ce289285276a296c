"""How often the flows of each amphora are counted.

Every count walks through the kernel's one table for all namespaces, 12 ms of CPU on a machine with 262,144 buckets
even where an amphora has a single flow. So all amphorae of an agent share what counting may cost.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: of one core, for all amphorae together: with more of them, or more flows, counts become rarer
_SHARE = 0.03


class Pace:
    """Whose turn it is to be counted. Safe in several threads: each amphora has entries of its own.

    `now`: seconds; `spent`: seconds of CPU of the calling thread.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.thread_time
    ) -> None:
        self._now = now
        self._spent = spent
        #: what the last count of each cost, and when it was
        self._costs: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def due(self, name: str) -> bool:
        """Whether it may be counted now: at once for the first time, then in an interval that is the same for all."""
        last = self._last.get(name)
        return last is None or self._now() - last >= sum(list(self._costs.values())) / _SHARE

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """What is done meanwhile is a count."""
        before = self._spent()
        try:
            yield
        finally:
            self._costs[name] = self._spent() - before
            self._last[name] = self._now()

    def forget(self, name: str) -> None:
        """It has nothing to count, or is gone."""
        self._costs.pop(name, None)
        self._last.pop(name, None)
