"""The addresses that stand on an amphora's interfaces now."""

import socket
from collections.abc import Set as AbstractSet
from threading import Lock

from livia.agent.plumbing import kernel


class Held:
    """Asks over one socket in the namespace, which keeps that alive: close it before the namespace goes."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._socket: socket.socket | None = None
        #: heartbeats and requests look at the same time, and one socket has one conversation
        self._looking = Lock()

    def all_of(self, wanted: AbstractSet[str]) -> bool:
        """Whether each of these is there. False where nobody can look."""
        for _attempt in range(2):
            try:
                with self._looking:
                    if self._socket is None:
                        self._socket = kernel.inside(self._namespace, kernel.address_socket)
                    return wanted <= kernel.addresses(self._socket)
            except OSError:
                self.close()
        return False

    def close(self) -> None:
        """Let go of the namespace; the next look opens it again."""
        with self._looking:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
