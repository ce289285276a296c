"""Wake-up hints: they make work start at once, and losing one costs a poll interval, never work."""

from typing import Protocol


class Wake(Protocol):
    def hint(self, key: str) -> None:
        """Tell whoever works that `key` has something to do. Never raises, never waits."""


class NoWake:
    """Nobody is told: the poll of due work rows finds it."""

    def hint(self, key: str) -> None:
        return None
