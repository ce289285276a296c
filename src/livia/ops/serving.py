"""Where the API listens, and the server on it: who restarts the API refuses nobody and leaves nobody unanswered."""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import msgspec
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.server import MPServer

from livia.api.arrival import Wsgi, leaving
from livia.ops import activation

#: connections that may wait while the API starts: as many as the kernel lets (listen(2), net.core.somaxconn)
_BACKLOG = 4096
#: seconds in which clients are told to come back on another connection, before connections that are kept are closed
_LEAVING = 0.3
#: seconds that requests have to end when the API is to: one that never arrives whole would wait for ever
_GRACE = 5


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """`threads`: requests that may be on their way in or out at once. `load` makes the application, after the fork."""

    threads: int
    load: Callable[[], Wsgi]


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on, whether or not anybody serves them yet. Raises OSError.

    One that this process was given takes them already, and `livia.ops.activation.problems` says whether it is the one.
    """
    if activation.passed():
        return activation.take()
    ipv6 = ":" in host
    # As every server does, `::` is all addresses of both families.
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=ipv6)
    # Granian waits for connections by epoll.
    listening.setblocking(False)
    return listening


class ApiServer(MPServer):
    """Granian on a socket that outlives it.

    A connection that comes between two servers waits in the socket for the next. One that is kept open is told with
    its answers to close (RFC 9112, section 9.6) before the server ends: a server that closes it unasked may meet a
    request that is under way, which a client cannot send again unless it is idempotent.
    """

    def __init__(self, listening: socket.socket, serving: Serving) -> None:
        super().__init__(
            "livia",
            interface=Interfaces.WSGI,
            blocking_threads=serving.threads,
            log_enabled=False,
            # A worker that dies takes its parent along; whoever watches over it starts both.
            respawn_failed_workers=False,
            workers_kill_timeout=_GRACE,
        )
        self._listening = listening
        self._load = serving.load
        # By which this process tells the one it forks.
        self._leave = os.eventfd(0)

    def run(self) -> None:
        """Serve until SIGTERM."""
        self.serve(target_loader=self._application, wrap_loader=False)

    def _application(self) -> Wsgi:
        """In the process that answers."""
        left = Event()

        def leave() -> None:
            os.eventfd_read(self._leave)
            _let_go(self._listening)
            left.set()

        Thread(target=leave, name="leave", daemon=True).start()
        return leaving(self._load(), left.is_set)

    def _init_shared_socket(self) -> None:
        holder = SocketHolder(self._listening.fileno(), False, _BACKLOG)  # type: ignore[call-arg]  # its stub knows none
        # A worker takes the holder when there is nothing to make a socket from.
        vars(self).update(_ssp=None, _shd=holder, _sso=None)

    def _stop_workers(self) -> None:
        os.eventfd_write(self._leave, 1)
        _let_go(self._listening)
        time.sleep(_LEAVING)
        super()._stop_workers()  # type: ignore[no-untyped-call]


def _let_go(listening: socket.socket) -> None:
    """Have this process take no further connection: those that wait, and come, are for who else has the socket.

    Granian has no way to only stop accepting, and closes what it accepted last without an answer. So in place of the
    socket it gets, under the same numbers, one that nobody knows of.
    """
    known = os.fstat(listening.fileno())
    with socket.socket(socket.AF_UNIX) as nobody:
        # Bound to a name of the kernel's choice (unix(7), "autobind").
        nobody.bind("")
        nobody.listen()
        nobody.setblocking(False)
        for each in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(os.fstat(int(each.name)), known):
                    os.dup2(nobody.fileno(), int(each.name))
