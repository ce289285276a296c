"""The state directory: where each thing of one Livia installation is, and the making of what is missing."""

import fcntl
import secrets
import socket
from datetime import timedelta
from pathlib import Path
from typing import IO

from livia.core.clock import Clock, SystemClock
from livia.pki.authority import CERTIFICATE_LIFE, Authority, write_private
from livia.pki.rollover import Rollover
from livia.pki.supplied import SuppliedFiles

DEFAULT_STATE_DIRECTORY = Path("/var/lib/livia")
#: what controllers are called in their certificate
CONTROLLER_NAME = "livia-controller"
#: contract 90, [house_keeping] cert_expiry_buffer
_BUFFER = timedelta(days=14)
_SYSTEM = SystemClock()
#: characters of the machine's name in that of its amphora host: rows of hosts have 36, and certificates 64
_LONGEST = 29


class AlreadyRunningError(Exception):
    """Another `livia up` uses the state directory."""


def agents_authority(pki: Path, clock: Clock = _SYSTEM, supplied: SuppliedFiles | None = None) -> Rollover:
    """Signs what agents present. `supplied`: what the operator has for it."""
    return Rollover(pki / "agents", "Livia agents", clock, supplied=supplied)


def controllers_authority(pki: Path, clock: Clock = _SYSTEM) -> Rollover:
    """Signs what controllers present."""
    return Rollover(pki / "controllers", "Livia controllers", clock)


class State:
    """Paths below one directory. Nothing is made before `prepare`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'livia.db'}"

    @property
    def wake_path(self) -> Path:
        return self.directory / "wake.sock"

    @property
    def agent_directory(self) -> Path:
        return self.directory / "agent"

    @property
    def log_directory(self) -> Path:
        return self.directory / "log"

    @property
    def lock_path(self) -> Path:
        return self.directory / "livia.lock"

    @property
    def pid_path(self) -> Path:
        return self.directory / "livia.pid"

    @property
    def agent_certificate(self) -> Path:
        return self.directory / "pki" / "agent.pem"

    @property
    def controller_certificate(self) -> Path:
        return self.directory / "pki" / "controller.pem"

    @property
    def agents_ca(self) -> Path:
        """What agents' certificates are verified with."""
        return agents_authority(self.pki_directory).trust_path

    @property
    def controllers_ca(self) -> Path:
        """What controllers' certificates are verified with."""
        return controllers_authority(self.pki_directory).trust_path

    @property
    def pki_directory(self) -> Path:
        return self.directory / "pki"

    @property
    def host_name(self) -> str:
        """The name of the embedded amphora host, fixed at first start: certificates and rows carry it."""
        return (self.directory / "host").read_text().strip()

    @property
    def heartbeat_key(self) -> str:
        return (self.directory / "heartbeat.key").read_text().strip()

    @property
    def vault_key(self) -> Path:
        return self.directory / "vault.key"

    def locked(self) -> bool:
        """Whether a `livia up` holds the directory, which need not be writable to find out."""
        try:
            file = self.lock_path.open()
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def supervisor(self) -> int | None:
        """The process id of the `livia up` that holds the lock; None while it starts."""
        try:
            return int(self.pid_path.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def exists(self) -> bool:
        """Whether a `livia up` has ever run here."""
        return (self.directory / "host").exists()

    def prepare(
        self,
        *,
        life: timedelta = CERTIFICATE_LIFE,
        buffer: timedelta = _BUFFER,
        supplied: SuppliedFiles | None = None,
    ) -> None:
        """Make what is missing: directories, authorities, certificates, keys. Certificates last for `life`, and
        are made anew when they have less than `buffer` left. `supplied`: the agents' authority of the operator.
        Raises AuthorityError, OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory.chmod(0o700)
        self.log_directory.mkdir(exist_ok=True)
        if not (self.directory / "host").exists():
            name = socket.gethostname()[:_LONGEST].rstrip(".-")
            write_private(self.directory / "host", f"{name}-{secrets.token_hex(3)}\n".encode())
        if not (self.directory / "heartbeat.key").exists():
            write_private(self.directory / "heartbeat.key", secrets.token_hex(32).encode())
        if not self.vault_key.exists():
            write_private(self.vault_key, secrets.token_hex(32).encode())
        agents = agents_authority(self.pki_directory, supplied=supplied).open()
        self._certify(agents, self.agent_certificate, self.host_name, life, buffer)
        controllers = controllers_authority(self.pki_directory).open()
        self._certify(controllers, self.controller_certificate, CONTROLLER_NAME, life, buffer)

    @staticmethod
    def _certify(authority: Authority, path: Path, name: str, life: timedelta, buffer: timedelta) -> None:
        """A certificate, unless there is one that lasts."""
        if authority.due(path, name, buffer) is not None:
            write_private(path, authority.issue(name, life=life))

    def lock(self) -> IO[str]:
        """Hold the directory for this process. Raises AlreadyRunningError; the lock dies with the process."""
        file = self.lock_path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise AlreadyRunningError(
                f"A livia up is running on {self.directory} already: 'livia status' shows it, 'livia down' ends it."
            ) from error
        return file
