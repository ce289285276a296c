"""Files that an operator may edit while the service runs."""

from collections.abc import Callable, Iterable
from pathlib import Path

from livia.core.clock import Clock

#: seconds between two looks: an edit is noticed so late at most, and a request mostly looks at nothing
INTERVAL = 1.0

_Signature = tuple[tuple[str, int, int, int], ...]


class Watched:
    """Notices that files changed, came or went. `paths` says which there are, each time anew."""

    def __init__(self, paths: Callable[[], Iterable[Path]], clock: Clock) -> None:
        self._paths = paths
        self._clock = clock
        self._seen = self._signature()
        self._next = clock.monotonic() + INTERVAL

    def changed(self) -> bool:
        """Whether something is different from the last time that this was true."""
        now = self._clock.monotonic()
        if now < self._next:
            return False
        self._next = now + INTERVAL
        signature = self._signature()
        if signature == self._seen:
            return False
        self._seen = signature
        return True

    def _signature(self) -> _Signature:
        found = []
        try:
            paths = [*self._paths()]
        except OSError:
            return ()
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue
            # A file that another was renamed over may have the same time, but not the same inode.
            found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)
