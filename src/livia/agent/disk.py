"""Files that survive a crash at any moment, and where each one is."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from livia.agent.errors import PlumbingError
from livia.core.spec import Assignment


def write(path: Path, content: str | bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace `path` in one step, or leave it as it was. `durable`: on the disk, not only in memory, before this
    returns. Raises PlumbingError, e.g. for a full disk."""
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(f".{path.name}.new")
    try:
        _write(fresh, data, mode, durable=durable)
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise PlumbingError(f"{path} cannot be written: {error.strerror}.") from error


def _write(fresh: Path, data: bytes, mode: int, *, durable: bool) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        # A disk that is almost full takes a part: only the next attempt is told so.
        _write_all(descriptor, data)
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Record(Struct, frozen=True, kw_only=True):
    """What was last applied, as kept on disk: without key material, which is sealed elsewhere."""

    assignment: Assignment
    digest: str


# Made before there are threads: msgspec 0.22 shows a type that it is still looking at to other threads, which die of it
# (SIGSEGV). So has every module of ours whose decoders threads use.
_decoder = msgspec.json.Decoder(Record)


class AmphoraDirectory:
    """`<state>/amphorae/<id>/`: all that belongs to one amphora.

    HAProxy runs with it as its working directory and is given relative names: the path of a UNIX socket may
    have 107 bytes only (unix(7)), and a state directory can be anywhere.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "applied.json"
        #: exists while a change is under way: what runs may then be neither the old nor the new
        self.pending = path / "pending"
        self.config = path / "haproxy.cfg"
        self.failed_config = path / "haproxy.cfg.failed"
        self.candidate = path / "haproxy.cfg.candidate"
        self.server_state = path / "state"
        #: the server state that HAProxy starts with when nobody reloads it
        self.start_state = path / "state.start"
        #: what the agent's own checks found
        self.verdicts = path / "verdicts.json"
        self.haproxy_log = path / "h.log"
        self.haproxy_exit = path / "h.exit"
        self.keepalived_config = path / "keepalived.conf"
        self.keepalived_log = path / "k.log"
        self.keepalived_pid = path / "k.pid"
        self.track = path / "track"
        self.vips = path / "vips"
        self.counters = path / "counters.json"
        #: key material, each piece sealed under its name
        self.sealed = path / "sealed"
        self.haproxy_service = path / "haproxy"
        self.keepalived_service = path / "keepalived"

    def read_record(self) -> Record | None:
        """What was last applied; None before the first time.

        Raises msgspec.DecodeError when the file is damaged.
        """
        try:
            return _decoder.decode(self.record.read_bytes())
        except FileNotFoundError:
            return None

    def write_record(self, record: Record, spec: bytes) -> None:
        """Remember what was applied. `spec`: the JSON of the record's, which is most of it."""
        known = record.assignment
        plain = {"fence": known.fence, "generation": known.generation, "spec": msgspec.Raw(spec)}
        write(self.record, msgspec.json.encode({"assignment": plain, "digest": record.digest}))

    def mark_pending(self) -> None:
        """A change begins."""
        self.pending.touch(mode=0o600)

    def clear_pending(self) -> None:
        """A change ended."""
        self.pending.unlink(missing_ok=True)
