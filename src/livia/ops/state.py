"""The state directory: where each thing of one Livia installation is, and the making of what is missing."""

import fcntl
import secrets
import socket
from pathlib import Path
from typing import IO

from livia.pki.authority import Authority, write_private

DEFAULT_STATE_DIRECTORY = Path("/var/lib/livia")
#: names inside it
_SERVER_AUTHORITY = "pki/agents"
_CLIENT_AUTHORITY = "pki/controllers"


class AlreadyRunningError(Exception):
    """Another `livia up` uses the state directory."""


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
        return self.directory / _SERVER_AUTHORITY / "ca.pem"

    @property
    def controllers_ca(self) -> Path:
        return self.directory / _CLIENT_AUTHORITY / "ca.pem"

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

    def exists(self) -> bool:
        """Whether a `livia up` has ever run here."""
        return (self.directory / "host").exists()

    def prepare(self) -> None:
        """Make what is missing: directories, authorities, certificates, keys. Raises AuthorityError, OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory.chmod(0o700)
        self.log_directory.mkdir(exist_ok=True)
        if not (self.directory / "host").exists():
            write_private(self.directory / "host", f"{socket.gethostname()}-{secrets.token_hex(3)}\n".encode())
        if not (self.directory / "heartbeat.key").exists():
            write_private(self.directory / "heartbeat.key", secrets.token_hex(32).encode())
        if not self.vault_key.exists():
            write_private(self.vault_key, secrets.token_hex(32).encode())
        agents = Authority.open(self.directory / _SERVER_AUTHORITY, "Livia agents")
        controllers = Authority.open(self.directory / _CLIENT_AUTHORITY, "Livia controllers")
        # New ones at each start: a month is longer than any start lives without another, and nothing depends on
        # the old ones once their holders have ended.
        write_private(self.agent_certificate, agents.issue(self.host_name))
        write_private(self.controller_certificate, controllers.issue("livia-controller"))

    def lock(self) -> IO[str]:
        """Hold the directory for this process. Raises AlreadyRunningError; the lock dies with the process."""
        file = (self.directory / "livia.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise AlreadyRunningError(f"A livia up is running on {self.directory} already.") from error
        return file
