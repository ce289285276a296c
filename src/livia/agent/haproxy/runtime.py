"""HAProxy's runtime API over its UNIX sockets (management guide, section 9.3)."""

import os
import socket
from pathlib import Path

from msgspec import Struct

#: seconds that an answer may take
_PATIENCE = 5.0


class RuntimeApiError(Exception):
    """HAProxy did not answer, or did not do what it was told; the message is what it said."""


def ask(directory: Path, name: str, command: str, *, patience: float = _PATIENCE) -> str:
    """The answer to a command on socket `name` of an amphora. Raises RuntimeApiError when there is none.

    The directory is reached through a descriptor, because its path can be longer than a socket's may be.
    """
    try:
        with connect(directory, name, patience) as stream:
            stream.sendall(command.encode() + b"\n")
            # The master's socket answers and then waits for more until it is told that there is none.
            stream.shutdown(socket.SHUT_WR)
            return _read(stream)
    except OSError as error:
        raise RuntimeApiError(f"HAProxy does not answer on {directory / name}: {error}") from error


def connect(directory: Path, name: str, patience: float) -> socket.socket:
    """A connection to socket `name` of an amphora. Raises OSError."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.settimeout(patience)
            stream.connect(f"/proc/self/fd/{descriptor}/{name}")
        except OSError:
            stream.close()
            raise
        return stream
    finally:
        os.close(descriptor)


class Conversation:
    """A connection to the worker that serves now, kept open: this worker does not end before it is closed
    (management guide, section 9.3, `prompt`)."""

    _PROMPT = b"\n> "

    def __init__(self, directory: Path) -> None:
        """Raises RuntimeApiError when no worker serves."""
        try:
            self._stream = connect(directory, "h.sock", _PATIENCE)
        except OSError as error:
            raise RuntimeApiError(f"HAProxy does not answer on {directory / 'h.sock'}: {error}") from error
        try:
            self.ask("prompt")
        except RuntimeApiError:
            self.close()
            raise

    def ask(self, command: str) -> str:
        """The answer to one command. Raises RuntimeApiError when the worker is gone."""
        answer = bytearray()
        try:
            self._stream.sendall(command.encode() + b"\n")
            while not answer.endswith(self._PROMPT):
                chunk = self._stream.recv(65536)
                if not chunk:
                    raise RuntimeApiError("The worker is gone.")
                answer += chunk
        except OSError as error:
            raise RuntimeApiError(f"The worker does not answer: {error}") from error
        return answer.removesuffix(self._PROMPT).decode(errors="replace").strip()

    def close(self) -> None:
        """The worker may end."""
        self._stream.close()


def _read(stream: socket.socket) -> str:
    parts: list[bytes] = []
    while chunk := stream.recv(65536):
        parts.append(chunk)
    return b"".join(parts).decode(errors="replace").strip()


class Worker:
    """The process that carries traffic now."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ask(self, command: str) -> str:
        """The answer to one command. Raises RuntimeApiError."""
        return ask(self._directory, "h.sock", command)

    def expect(self, command: str, *answers: str) -> None:
        """Give a command; raises RuntimeApiError unless it is answered by nothing, or by one of `answers`."""
        answer = self.ask(command)
        if answer and not any(text in answer for text in answers):
            raise RuntimeApiError(f"HAProxy answered '{answer}' to '{command}'.")

    def answers(self) -> bool:
        """Whether a worker answers."""
        try:
            return self.pid() is not None
        except RuntimeApiError:
            return False

    def pid(self) -> int | None:
        """The worker's process id."""
        for text in self.ask("show info").splitlines():
            if text.startswith("Pid: "):
                return int(text[5:])
        return None


class Known(Struct, frozen=True):
    """A server of a file whose health is known from before: its name there, its id, its weight."""

    name: str
    number: int
    weight: int


def server_state(text: str, lasting: dict[tuple[str, str], Known]) -> str:
    """What a new worker shall know of servers' health, from `show servers state` of the old one.

    `lasting`: (backend, server) of the old one that stay the same and are enabled. Administrative states, weights
    and targets come from the configuration: a state file would overrule it.
    """
    rows = ["1"]
    for each in text.splitlines():
        if each.startswith("# be_id"):
            rows.append(each)
            continue
        fields = each.split()
        known = lasting.get((fields[1], fields[3])) if len(fields) >= 25 else None
        # One in maintenance (srv_admin_state) leaves, and its address is not its own any more: an earlier agent let a
        # twin stand in.
        if known is not None and fields[6] == "0":
            fields[2], fields[3] = str(known.number), known.name
            fields[7] = fields[8] = str(known.weight)
            rows.append(" ".join(fields))
    return "\n".join(rows) + "\n"


def servers_down(worker: Worker, backends: set[str]) -> set[str]:
    """`backend/server` of those that HAProxy's checks found dead. Raises RuntimeApiError."""
    down: set[str] = set()
    for backend in backends:
        for text in worker.ask(f"show servers state {backend}").splitlines():
            fields = text.split()
            # srv_op_state 0: stopped; srv_admin_state 0: not by an administrator
            if len(fields) >= 25 and fields[5:7] == ["0", "0"]:
                down.add(f"{fields[1]}/{fields[3]}")
    return down
