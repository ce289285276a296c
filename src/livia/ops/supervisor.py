"""One parent, one process a service: forked from a parent that has imported everything, so that they share memory.

A service that dies is started again; a service that keeps dying is started ever more slowly. Services die with
their parent. Load balancers are no children of it: they live on.
"""

import ctypes
import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

import structlog
from msgspec import Struct

from livia.ops import logs
from livia.ops.readiness import Readiness

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
#: seconds that a service has to finish what it is at
_GRACE = 15.0
_PAUSE_MOST = 10.0
#: seconds that a start may take before somebody answers in place of the service
_START = 10.0
#: a service that lived this long, in seconds, is not in a crash loop
_STEADY = 30.0

#: what a service's process is called: the prefix and its name (prctl(2), PR_SET_NAME)
COMMAND_PREFIX = "livia-"

_libc = ctypes.CDLL(None, use_errno=True)


class Service(Struct, frozen=True, kw_only=True):
    """`run` is the whole life of the process; it returns when SIGTERM has been handled.

    `listening`: a socket that outlives each process of the service. The supervisor keeps it; no other service has it
    but `stand_in`, which answers there while the service cannot: from a start that failed, or that takes too long,
    until `readiness` says that it serves.
    """

    name: str
    run: Callable[[], None]
    listening: socket.socket | None = None
    readiness: Readiness | None = None
    stand_in: "Service | None" = None


class _Child(Struct):
    """`wanted`: it is started again when it ends."""

    service: Service
    pid: int
    started: float
    pause: float = 0.0
    wanted: bool = True


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends, however that ends (prctl(2), PR_SET_PDEATHSIG)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Starts services, restarts them, stops them. Must run in the main thread of a process with no other."""

    def __init__(self, services: list[Service], log_directory: Path, *, level: int = logging.INFO) -> None:
        self._services = services
        self._log_directory = log_directory
        self._level = level
        self._children: dict[int, _Child] = {}
        self._waiting: list[tuple[float, Service, float]] = []
        #: service to the moment since when it does not serve
        self._absent: dict[str, float] = {}
        self._stopping = False

    def start(self) -> None:
        """Start every service."""
        # What was made so far stays in shared pages: the collector does not touch it in any child.
        gc.collect()
        gc.freeze()
        for service in self._services:
            self._spawn(service, 0.0)

    def run(self) -> None:
        """Watch until SIGTERM or SIGINT, then stop all services."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._stopping:
            self.step()
            time.sleep(0.05)
        self.stop()

    def step(self) -> None:
        """Look once: what ended is started again, and what cannot start is stood in for."""
        self._reap()
        self._respawn()
        for service in self._services:
            if service.readiness is not None and service.stand_in is not None:
                self._stand_in(service.readiness, service, service.stand_in)

    def reasons(self) -> list[str]:
        """Why services do not serve, of those that said it."""
        return [each.readiness.reason for each in self._services if each.readiness and each.readiness.reason]

    def pids(self) -> dict[str, int]:
        """Service name to process id."""
        return {child.service.name: child.pid for child in self._children.values()}

    def stop(self) -> None:
        """End all services: asked first, killed after a grace."""
        self._stopping = True
        self._close_sockets()
        for pid in self._children:
            _signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while self._children and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for pid in self._children:
            _signal(pid, signal.SIGKILL)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _spawn(self, service: Service, pause: float) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if service.readiness is not None:
            service.readiness.begin()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(service, parent)
        self._children[pid] = _Child(service, pid, time.monotonic(), pause)

    def _become(self, service: Service, parent: int) -> None:
        """The life of a child."""
        code = 1
        try:
            die_with_parent()
            _libc.prctl(_PR_SET_NAME, f"{COMMAND_PREFIX}{service.name}".encode())
            if os.getppid() != parent:
                os._exit(0)
            self._close_sockets(but_of=service)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            # Ctrl-C in a terminal reaches the whole group: the parent decides what it means.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            file = (self._log_directory / f"{service.name}.log").open("a", buffering=1)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            logs.configure(file, level=self._level)
            # Of what dies in a library the log has a traceback too.
            faulthandler.enable(file)
            service.run()
            code = 0
        except BaseException:
            # The outermost frame of a process: nothing above could tell of it.
            log.exception("service ended", service=service.name)
        finally:
            # Whatever happens, a child ends here: in its parent's code it would be a second supervisor.
            with suppress(OSError):
                sys.stderr.flush()
            os._exit(code)

    def _close_sockets(self, *, but_of: Service | None = None) -> None:
        """A socket listens for as long as any process has it."""
        for service in self._services:
            if service.listening is not None and (but_of is None or but_of.listening is not service.listening):
                service.listening.close()

    def _stand_in(self, readiness: Readiness, service: Service, stand_in: Service) -> None:
        now = time.monotonic()
        standing = [child for child in self._children.values() if child.service is stand_in and child.wanted]
        if readiness.serves:
            self._absent.pop(service.name, None)
            self._waiting = [entry for entry in self._waiting if entry[1] is not stand_in]
            for child in standing:
                child.wanted = False
                _signal(child.pid, signal.SIGTERM)
            return
        since = self._absent.setdefault(service.name, now)
        if standing or any(entry[1] is stand_in for entry in self._waiting):
            return
        if readiness.failed or now - since > _START:
            log.error("requests are refused with 503", service=service.name, reason=readiness.reason)
            self._spawn(stand_in, 0.0)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None or self._stopping or not child.wanted:
                continue
            lived, code = time.monotonic() - child.started, os.waitstatus_to_exitcode(status)
            pause = 0.0 if lived > _STEADY else min(_PAUSE_MOST, max(0.1, child.pause * 2))
            log.error("service ended", service=child.service.name, code=code, again_in=pause)
            if child.service.readiness is not None:
                child.service.readiness.end(code)
            self._waiting.append((time.monotonic() + pause, child.service, pause))

    def _respawn(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._waiting if entry[0] <= now]
        self._waiting = [entry for entry in self._waiting if entry[0] > now]
        for _when, service, pause in due:
            self._spawn(service, pause)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
