"""A Livia as its users start it: `livia up` in a process of its own, waited for, and taken down at the end."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from livia.ops.down import down
from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.state import AlreadyRunningError, State

_READY = "Livia is ready"


class NotStartedError(Exception):
    """`livia up` ended at once; its own sentences are in the message."""


class RunningLivia:
    """One installation and the `livia up` on it.

    `start` and `kill` may follow each other; `close` ends the services and removes what they made.
    """

    def __init__(self, state_directory: Path, config_files: Sequence[Path] = ()) -> None:
        settings, _warnings = load(config_files)
        self.installation = Installation(State(state_directory), settings)
        self._options = ["--state-directory", str(state_directory)]
        for path in config_files:
            self._options += ["--config-file", str(path)]
        self.process: subprocess.Popen[str] | None = None

    def command(self, *arguments: str) -> list[str]:
        """A `livia` command on this installation."""
        return [sys.executable, "-m", "livia.ops.cli", *self._options, *arguments]

    def start(self) -> str:
        """Start the services and wait until they are ready; the line that says so. Raises NotStartedError."""
        # A session of its own: Ctrl-C is for who started us, and we end before the services do.
        self.process = subprocess.Popen(
            self.command("up"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert self.process.stdout is not None  # noqa: S101 - asked for above
        said = []
        for line in self.process.stdout:
            if line.startswith(_READY):
                return line.strip()
            said.append(line)
        self._wait()
        raise NotStartedError("".join(said).strip())

    def runs(self) -> bool:
        """Whether any `livia up` runs on the state directory."""
        if not self.installation.state.exists():
            return False
        try:
            self.installation.state.lock().close()
        except AlreadyRunningError:
            return True
        return False

    def stop(self) -> None:
        """End the services as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the supervisor; its services die with it, the data plane does not."""
        self._end(signal.SIGKILL)

    def close(self, *, purge: bool) -> None:
        """End the services and remove what they made; with `purge` also what they know."""
        self.stop()
        down(self.installation, purge=purge)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self._wait()

    def _wait(self) -> None:
        if self.process is not None:
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self.process = None
