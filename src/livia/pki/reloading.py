"""TLS contexts that follow their files: a certificate is renewed while connections go on, and new ones have the new."""

import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import structlog

log = structlog.get_logger()

_Stamp = tuple[int, int, int]


class ReloadingContext:
    """What `make` made of the files in `paths`, made again whenever one of them was replaced.

    Files that cannot be used change nothing: the last good context stays, and a warning is logged once for each state
    of the files. The first time they raise what `make` raises.
    """

    def __init__(self, paths: tuple[Path, ...], make: Callable[[], ssl.SSLContext]) -> None:
        self._paths = paths
        self._make = make
        self._lock = Lock()
        self._stamps = self._look()
        self._context = make()

    def current(self) -> ssl.SSLContext:
        """The context for a new connection."""
        stamps = self._look()
        if stamps == self._stamps:
            return self._context
        with self._lock:
            if stamps != self._stamps:
                self._stamps = stamps
                try:
                    self._context = self._make()
                except (OSError, ssl.SSLError) as error:
                    log.warning("a renewed certificate cannot be used", files=_names(self._paths), error=str(error))
                else:
                    log.info("certificates read anew", files=_names(self._paths))
            return self._context

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # Files are replaced, never written over: another file has another inode.
    return found.st_ino, found.st_mtime_ns, found.st_size


def _names(paths: tuple[Path, ...]) -> list[str]:
    return [str(path) for path in paths]
