"""Waiting for what others do."""

import time
from collections.abc import Callable

_PAUSE = 0.02


def wait_for(condition: Callable[[], object], seconds: float = 30.0, what: str = "what was waited for") -> None:
    """Wait until the condition holds. Raises AssertionError, which says `what` it is, when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(_PAUSE)
