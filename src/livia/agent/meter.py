"""Counters of an amphora across reloads and restarts (contract 95, section 2.1, message format 3).

A worker counts from zero, and during a reload two or more count at once. So the last reading of every worker is
kept by its process id, and what each adds is owed to the next heartbeat.
"""

from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from livia.agent import disk
from livia.core.report import ListenerCounters


class Reading(Struct, frozen=True):
    """Raw counters of one listener in one worker."""

    tx: int
    rx: int
    totconns: int
    ereq: int

    def since(self, earlier: "Reading | None") -> "Reading":
        """What was added. A counter that went back belongs to a new process with an old number."""
        if earlier is None or self.totconns < earlier.totconns or self.rx < earlier.rx:
            return self
        return Reading(
            self.tx - earlier.tx, self.rx - earlier.rx, self.totconns - earlier.totconns, self.ereq - earlier.ereq
        )

    def plus(self, other: "Reading") -> "Reading":
        return Reading(self.tx + other.tx, self.rx + other.rx, self.totconns + other.totconns, self.ereq + other.ereq)


_KERNEL = "kernel-"
_NOTHING = Reading(0, 0, 0, 0)


class _Kept(Struct):
    """What is on disk. Process ids are strings there: JSON has no other keys; `kernel-...` is a namespace."""

    workers: dict[str, dict[str, Reading]] = {}
    owed: dict[str, Reading] = {}


class Meter:
    """Counters of one amphora. `path`: where they outlive the agent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _Kept()
        # Without it the next beat tells all that the worker has counted: as after its start.
        with suppress(FileNotFoundError, msgspec.DecodeError):
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)

    def workers(self) -> frozenset[int]:
        """Process ids that were ever read and not forgotten."""
        return frozenset(int(pid) for pid in self._kept.workers if not pid.startswith(_KERNEL))

    def absorb(self, pid: int, readings: dict[str, Reading]) -> None:
        """Take in what a worker has counted by now, by listener."""
        self._absorb(str(pid), readings)

    def absorb_kernel(self, namespace: int, readings: dict[str, Reading]) -> None:
        """Take in what the packet rules of a namespace (its inode) have counted. An earlier one is gone."""
        source = f"{_KERNEL}{namespace}"
        for each in [name for name in self._kept.workers if name.startswith(_KERNEL) and name != source]:
            del self._kept.workers[each]
        self._absorb(source, readings)

    def _absorb(self, source: str, readings: dict[str, Reading]) -> None:
        before = self._kept.workers.get(source, {})
        for listener, reading in readings.items():
            owed = self._kept.owed.get(listener, _NOTHING)
            self._kept.owed[listener] = owed.plus(reading.since(before.get(listener)))
        self._kept.workers[source] = readings

    def forget(self, pid: int) -> None:
        """The worker is gone."""
        self._kept.workers.pop(str(pid), None)

    def take(self, connections: dict[str, int]) -> dict[str, ListenerCounters]:
        """What is owed to each listener of `connections` (open ones now), and owed no more.

        It is on disk before it is returned: a beat that gets lost with the agent is not counted twice.
        """
        owed, self._kept.owed = self._kept.owed, {}
        disk.write(self._path, msgspec.json.encode(self._kept), durable=False)
        return {listener: _counters(owed.get(listener, _NOTHING), conns) for listener, conns in connections.items()}


def _counters(owed: Reading, conns: int) -> ListenerCounters:
    return ListenerCounters(tx=owed.tx, rx=owed.rx, conns=conns, totconns=owed.totconns, ereq=owed.ereq)
