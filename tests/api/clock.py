"""Time that tests move."""

from datetime import datetime

from livia.core.clock import SystemClock


class MovableClock:
    """The time of day, and a monotonic clock that only `pass_` moves."""

    def __init__(self) -> None:
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return SystemClock().now()

    def monotonic(self) -> float:
        return self._monotonic

    def pass_(self, seconds: float) -> None:
        """Let so many seconds go by."""
        self._monotonic += seconds
