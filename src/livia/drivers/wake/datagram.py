"""Wake-up hints between the processes of one machine: a datagram with the key to a UNIX socket.

A datagram is sent or lost, never waited for; the poll of due work rows is the net.
"""

import socket
from contextlib import suppress
from pathlib import Path

_LARGEST_KEY = 128


class DatagramWake:
    """The sending side: a `Wake` of `livia.core.wake`."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def hint(self, key: str) -> None:
        with suppress(OSError):
            self._socket.sendto(key.encode(), self._path)

    def close(self) -> None:
        self._socket.close()


class DatagramListener:
    """The receiving side. Owns the path: an earlier owner's socket there is replaced."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

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
        self._socket.close()
