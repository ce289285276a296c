"""s6 keeps HAProxy and keepalived running: one s6-svscan per agent, which survives the agent.

A service is a directory with `run` and `finish`; a link to it in the scan directory makes s6-svscan supervise it.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from livia.agent import disk
from livia.agent.cgroup import Groups
from livia.agent.errors import PlumbingError

#: two services for each of up to 8000 amphorae
_MOST_SERVICES = "16000"
_PATIENCE = 10.0
GROUP = "supervision"

_SCAN = """#!/bin/sh
{join}echo $$ > {pid}
exec s6-svscan -c {most} {scan}
"""


class Supervisor:
    """The supervision tree of one agent."""

    def __init__(self, directory: Path, groups: Groups) -> None:
        self._directory = directory
        self._scan = directory / "scan"
        self._pid = directory / "svscan.pid"
        self._groups = groups

    def open(self) -> None:
        """Start s6-svscan, unless an earlier agent left it running."""
        self._scan.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.running():
            return
        start = self._directory / "start"
        procs = self._groups.make(GROUP)
        join = f"echo $$ > {procs}\n" if procs else ""
        disk.write(start, _SCAN.format(join=join, pid=self._pid, most=_MOST_SERVICES, scan=self._scan), mode=0o700)
        with (self._directory / "svscan.log").open("ab") as log:
            # --fork: it is to be a child of PID 1, not of ours.
            subprocess.run(
                ["setsid", "--fork", str(start)], check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        _wait(self.running, "s6-svscan did not start.")

    def running(self) -> bool:
        """Whether s6-svscan runs on our scan directory."""
        return _quiet(["s6-svscanctl", "-a", str(self._scan)]) == 0

    def close(self) -> None:
        """End s6-svscan and every s6-supervise, each with its service. Then kill what is left."""
        _quiet(["s6-svscanctl", "-t", str(self._scan)])
        with suppress(PlumbingError):
            _wait(lambda: not self.running(), "")
        with suppress(OSError, ValueError):
            self._end(int(self._pid.read_text()))
        self._groups.kill(GROUP)

    def add(self, name: str, service: Path) -> None:
        """Supervise a service directory under `name`, from now on and after a restart."""
        link = self._scan / name
        if not link.is_symlink():
            link.symlink_to(service)
        if _quiet(["s6-svscanctl", "-a", str(self._scan)]) != 0:
            raise PlumbingError("s6-svscan does not run.")

    def has(self, name: str) -> bool:
        """Whether the service is supervised."""
        link = self._scan / name
        return link.exists() and _quiet(["s6-svok", str(link)]) == 0

    def restart(self, name: str) -> None:
        """Let the service start now if it does not run."""
        _quiet(["s6-svc", "-u", str(self._scan / name)])

    def replace(self, name: str) -> None:
        """End the process of the service, and start another."""
        _quiet(["s6-svc", "-r", str(self._scan / name)])

    def stop(self, name: str) -> None:
        """Have the service end by itself, and not start again."""
        _quiet(["s6-svc", "-d", str(self._scan / name)])

    def forget(self, *names: str) -> None:
        """End the supervisors of these services and the services with them."""
        services = [link.resolve() for link in (self._scan / name for name in names) if link.is_symlink()]
        for name in names:
            (self._scan / name).unlink(missing_ok=True)
        for service in services:
            # -d -x: bring it down, then exit. The process itself is killed by its group, or gets SIGTERM.
            _quiet(["s6-svc", "-dx", str(service)])

    def await_end(self, *services: Path) -> None:
        """Wait until nothing supervises these directories. Raises PlumbingError after a while."""
        for service in services:
            _wait(lambda: _quiet(["s6-svok", str(service)]) != 0, f"{service} is still supervised.")  # noqa: B023
        _quiet(["s6-svscanctl", "-a", str(self._scan)])

    @staticmethod
    def _end(pid: int) -> None:
        if Path(f"/proc/{pid}/comm").read_text().strip() == "s6-svscan":
            os.kill(pid, signal.SIGKILL)


def write_service(directory: Path, run: str, finish: str) -> None:
    """Write a service directory. A running service takes notice at its next start."""
    directory.mkdir(mode=0o700, exist_ok=True)
    disk.write(directory / "run", run, mode=0o700, durable=False)
    disk.write(directory / "finish", finish, mode=0o700, durable=False)


def require_programs() -> None:
    """Raises PlumbingError naming programs that are not installed."""
    programs = ("s6-svscan", "s6-svscanctl", "s6-svc", "s6-svok", "ip", "nsenter", "setsid")
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise PlumbingError(f"The agent needs {', '.join(missing)}: install s6, iproute2 and util-linux.")


def _quiet(command: list[str]) -> int:
    return subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


def _wait(condition: Callable[[], bool], message: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise PlumbingError(message)
        time.sleep(0.003)
