"""What a service says of its start: to its supervisor, and to who answers in its place while it cannot."""

import mmap
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum

_SIZE = 4096
#: of these there is nothing to tell: somebody asked for it
_ASKED = (0, -signal.SIGTERM)


class _State(IntEnum):
    STARTING = 0
    SERVING = 1
    FAILED = 2


class Readiness:
    """Whether a service serves and, if not, why, in memory that every process has which its maker forks.

    One process at a time writes: the one that starts or, when it is gone, the supervisor.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    @property
    def serves(self) -> bool:
        return self._memory[0] == _State.SERVING

    @property
    def failed(self) -> bool:
        """Whether the last start ended before anybody was served, and no further one has begun."""
        return self._memory[0] == _State.FAILED

    @property
    def reason(self) -> str:
        """What the last process said or died of; empty when there is nothing to tell."""
        return self._memory[1:].rstrip(b"\0").decode(errors="replace")

    def begin(self) -> None:
        """A process starts. Until it serves the reason is that of the one before."""
        self._memory[0] = _State.STARTING

    def end(self, code: int) -> None:
        """The process is gone, with this exit status; a negative one is the number of a signal."""
        if self.failed:
            return
        state = _State.STARTING if self.serves or code in _ASKED else _State.FAILED
        told = "" if code in _ASKED else f"It ended with status {code}." if code > 0 else f"Signal {-code} ended it."
        self._write(state, told)

    @contextmanager
    def starting(self, public: Callable[[Exception], str | None]) -> Iterator[None]:
        """What is done within is the start: after it the service serves, or what was raised is why not.

        Anybody may read the reason. `public` says what of an error is a sentence for everybody, None: nothing; the log
        has what it says itself, which may be a password of a URL.
        """
        try:
            yield
        except Exception as error:
            told = public(error) or f"Its log tells of an unexpected {type(error).__name__}."
            self._write(_State.FAILED, told)
            raise
        self._write(_State.SERVING, "")

    def _write(self, state: _State, reason: str) -> None:
        self._memory[1:] = reason.encode()[: _SIZE - 1].ljust(_SIZE - 1, b"\0")
        self._memory[0] = state
