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

log = structlog.get_logger()

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
#: seconds that a service has to finish what it is at
_GRACE = 15.0
_PAUSE_MOST = 10.0
#: a service that lived this long, in seconds, is not in a crash loop
_STEADY = 30.0

#: what a service's process is called: the prefix and its name (prctl(2), PR_SET_NAME)
COMMAND_PREFIX = "livia-"

_libc = ctypes.CDLL(None, use_errno=True)


class Service(Struct, frozen=True, kw_only=True):
    """`run` is the whole life of the process; it returns when SIGTERM has been handled.

    `listening`: a socket that outlives each process of the service. The supervisor keeps it; no other service has it.
    """

    name: str
    run: Callable[[], None]
    listening: socket.socket | None = None


class _Child(Struct):
    service: Service
    pid: int
    started: float
    pause: float = 0.0


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
            self._reap()
            self._respawn()
            time.sleep(0.05)
        self.stop()

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
            if service is not but_of and service.listening is not None:
                service.listening.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is None or self._stopping:
                continue
            lived = time.monotonic() - child.started
            pause = 0.0 if lived > _STEADY else min(_PAUSE_MOST, max(0.1, child.pause * 2))
            log.error(
                "service ended", service=child.service.name, code=os.waitstatus_to_exitcode(status), again_in=pause
            )
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
