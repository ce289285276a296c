"""A `livia up` with a disk, a clock and links of its own, all of which can fail."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from livia.agent.main import down as remove_data_plane
from livia.ops import network as networks_command
from livia.ops.down import down
from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.state import State
from livia.ops.status import children
from livia.ops.supervisor import COMMAND_PREFIX
from tests.crash import links, members
from tests.crash.authorities import Authorities
from tests.crash.certificates import Certificates
from tests.crash.choices import SOURCES
from tests.crash.databases import Database, Release
from tests.crash.links import Link, Loop
from tests.crash.vault import Vault

_CONFIG = """
[api_settings]
auth_strategy = testing
[livia]
reconcile_threads = 4
"""
_DISK = "160m"
#: seconds that a start may take
_PATIENCE = 60.0
SERVICES = ("agent", "health", "worker", "api", "house")


class NotUpError(Exception):
    """`livia up` did not get ready; its words are in the message."""


class Machine:
    """Everything that a campaign runs on. It must be in a network namespace of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.directory = Path(tempfile.mkdtemp(prefix="lv-"))
        self.disk = self.directory / "disk"
        self.disk.mkdir()
        self._clock = self.directory / "clock"
        self._clock.write_bytes(bytes(8))
        self.offset = 0
        self._clock_library = self.directory / "clock.so"
        source = Path(__file__).with_name("clock.c")
        _run("cc", "-shared", "-fPIC", "-nostdlib", "-O1", "-o", str(self._clock_library), str(source))
        config = self.directory / "octavia.conf"
        config.write_text(_CONFIG + (f"[database]\nconnection = {database.url}\n" if database.url else ""))
        self._config = config
        settings, _warnings = load([config])
        self.installation = Installation(State(self.disk / "state"), settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._output = self.directory / "up.log"
        self.loop = Loop()
        #: by what they connect
        self.links = {"worker-agent": Link("worker-agent"), "heartbeats": Link("heartbeats")}
        _run("mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=700", "livia-crash", str(self.disk))

    def open(self) -> None:
        """Start it for the first time, with a network whose gateway is this machine, and with secrets of tenants.
        Its members serve."""
        settings = self.installation.settings
        links.relay_connections(self.loop, self.links["worker-agent"], settings.agent.bind_port)
        links.relay_datagrams(self.loop, self.links["heartbeats"], settings.health.bind_port)
        if self.database.relay is not None:
            self.links["database"] = Link("database")
            links.relay_to_socket(self.loop, self.links["database"], *self.database.relay)
        _run("ip", "address", "add", f"{SOURCES[1]}/32", "dev", "lo")
        self.start()
        self.network = networks_command.create(self.installation, "crash", ["10.84.0.0/24", "fd84::/64"])
        vault = Vault(self.installation)
        self.certificates = Certificates(vault)
        self.authorities = Authorities(vault)
        members.serve(self.loop, self.authorities.member_context())

    @property
    def api_port(self) -> int:
        return self.installation.settings.server.bind_port

    # -- processes -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the services unless they run, and wait until they are ready. Raises NotUpError."""
        if self.running():
            return
        command = ["-m", "livia.ops.cli", "--state-directory", str(self.disk / "state"), "--config-file"]
        with self._output.open("ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, *command, str(self._config), "up"],
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **self._clock_environment()},
            )
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            said = self._output.read_bytes()[begin:]
            if b"Livia is ready" in said:
                return
            if self._process.poll() is not None:
                raise NotUpError(said.decode(errors="replace")[-2000:])
            time.sleep(0.05)
        raise NotUpError(f"not ready after {_PATIENCE:.0f} s")

    def running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def kill(self, *, children_too: bool) -> None:
        """kill -9 of the supervisor; its services are told to end by the kernel, or killed as well."""
        if self._process is None:
            return
        families = [pid for name in SERVICES for pid in self.pids(name)] if children_too else []
        self._process.kill()
        for pid in families:
            send(pid, signal.SIGKILL)
        self._process.wait()

    def pids(self, service: str) -> list[int]:
        """Process ids of a service and of what it forked; none while it is not there."""
        if self._process is None:
            return []
        if service == "supervisor":
            return [self._process.pid]
        own = [pid for pid in children(self._process.pid) if _name(pid) == f"{COMMAND_PREFIX}{service}"]
        return [family for pid in own for family in (pid, *children(pid))]

    def supervisor(self) -> int | None:
        """The supervisor's process id."""
        return None if self._process is None else self._process.pid

    def reboot(self) -> None:
        """Every process and everything in the kernel is gone, as after a power cut; the disk is not."""
        self.kill(children_too=True)
        remove_data_plane(self.installation.agent_config())

    # -- clock, disk, database -----------------------------------------------------------------------------------

    def _clock_environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._clock_library), "LIVIA_CRASH_CLOCK": str(self._clock)}

    def set_clock(self, offset: int) -> None:
        """Have every process of it see a wall clock that is `offset` seconds ahead of ours, from now on."""
        self.offset = offset
        with self._clock.open("r+b") as file:
            file.write(struct.pack("=q", offset))

    def fill_disk(self) -> None:
        """To the last byte."""
        with (self.disk / "ballast").open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def empty_disk(self) -> None:
        """What `fill_disk` took is free again."""
        (self.disk / "ballast").unlink(missing_ok=True)

    def lock_database(self) -> Release:
        """Let nobody write until released. Raises LockError."""
        return self.database.lock(self.disk / "state")

    # -- the end -------------------------------------------------------------------------------------------------

    def logs(self, lines: int) -> str:
        """The end of what each service said."""
        found = []
        for path in [self._output, *sorted((self.disk / "state" / "log").glob("*.log"))]:
            with suppress(OSError):
                text = path.read_text(errors="replace").splitlines()[-lines:]
                found.append("\n".join([f"== {path.name}", *(line[:600] for line in text)]))
        return "\n".join(found)

    def close(self) -> None:
        """Leave nothing."""
        try:
            self.empty_disk()
            if self.running():
                for service in (*SERVICES, "supervisor"):
                    for pid in self.pids(service):
                        send(pid, signal.SIGCONT)
            down(self.installation, purge=True)
            if self._process is not None:
                self._process.wait()
        finally:
            self.database.close()
            self.loop.close()
            _run("umount", "-l", str(self.disk))
            shutil.rmtree(self.directory)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
