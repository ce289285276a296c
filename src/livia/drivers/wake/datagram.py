"""Wake-up hints between the processes of one machine: a datagram with the key to the UNIX socket of each listener.

Each listener has a socket of its own in one directory: a second worker beside the first hears as well as it. A
datagram is sent or lost, never waited for; the poll of due work rows is the net.
"""

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_LARGEST_KEY = 128
_SUFFIX = ".sock"


class DatagramWake:
    """The sending side: a `Wake` of `livia.core.wake`. `directory` has the sockets of all listeners; `lost` is called
    for a hint that nobody takes."""

    def __init__(self, directory: Path, lost: Callable[[], None] = lambda: None) -> None:
        self._lost = lost
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def hint(self, key: str) -> None:
        taken = False
        with suppress(OSError):
            for path in self._directory.iterdir():
                if path.suffix == _SUFFIX:
                    taken = self._send(path, key) or taken
        if not taken:
            self._lost()

    def _send(self, path: Path, key: str) -> bool:
        try:
            self._socket.sendto(key.encode(), str(path))
        except ConnectionRefusedError:
            # Its listener was killed, and nobody will listen there again.
            with suppress(OSError):
                path.unlink()
            return False
        except OSError:
            # Full, among others: who does not come to read has work already.
            return False
        return True

    def close(self) -> None:
        self._socket.close()


class DatagramListener:
    """The receiving side, at a path of its own in `directory`, which is made when it is missing. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        if directory.is_socket():
            # Of the time when there was one socket for all.
            directory.unlink()
        directory.mkdir(exist_ok=True, mode=0o700)
        self._path = directory / f"{secrets.token_hex(4)}{_SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))

    def wait(self, seconds: float) -> bool:
        """Wait for hints, at most `seconds`; take all that are there. Whether there was one."""
        self._socket.settimeout(max(seconds, 0.001))
        with suppress(OSError):
            self._socket.recv(_LARGEST_KEY)
            self._socket.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    self._socket.recv(_LARGEST_KEY)
            return True
        return False

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._socket.close()
