"""TCP connections of checks: each check has one of its own."""

import errno
import select
import socket
import struct

from livia.agent.probes import http
from livia.agent.probes.channel import family
from livia.agent.probes.watch import Target
from livia.core.model.pool import MonitorType

#: on, and 0 s: the connection is reset, and leaves no state behind on either side (as HAProxy's checks do)
_RESET = struct.pack("=ii", 1, 0)


class Stream:
    """One connection to one member. It is opened inside the amphora's namespace."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._http = target.place.type is MonitorType.HTTP
        self._connected = False
        self._answer = b""
        self._socket = socket.socket(family(target.place.address), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def fileno(self) -> int:
        """Its descriptor, to wait on."""
        return self._socket.fileno()

    def open(self) -> bool | None:
        """Begin the connection. The verdict when there is one already. Raises OSError for what no member causes."""
        if not self._http:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        number = self._socket.connect_ex((self.target.place.address, self.target.place.port))
        if number in (0, errno.EINPROGRESS):
            return None
        raise OSError(number, "connection refused or impossible")

    def events(self) -> int:
        """What to wait for now (epoll)."""
        return select.EPOLLIN if self._connected else select.EPOLLOUT

    def proceed(self) -> bool | None:
        """Go on after an event. The verdict when there is one."""
        try:
            if not self._connected:
                if self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0:
                    return False
                self._connected = True
                if not self._http:
                    return True
                # Shorter than the send buffer of a connection that was just opened.
                self._socket.sendall(http.request(self.target.monitor))
                return None
            chunk = self._socket.recv(http.LONGEST_STATUS_LINE)
        except BlockingIOError:
            return None
        except OSError:
            return False
        self._answer += chunk
        return http.judge(self.target.monitor, self._answer, ended=not chunk)

    def close(self) -> None:
        """End it."""
        self._socket.close()
