"""Counters of an amphora across reloads and restarts (contract 95, section 2.1, message format 3).

Every source (a HAProxy worker) counts from zero, and during a reload two or more count at once. So the last reading
of each is kept by its name, and what each adds goes to the listener's total, which never goes back.
"""

from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from livia.agent import disk
from livia.agent.errors import PlumbingError
from livia.core.report import ListenerTotals

log = structlog.get_logger()

#: listeners whose totals are kept. One that was disabled may come back and must count on, not anew.
_MOST_LISTENERS = 1000


class Reading(Struct, frozen=True):
    """Raw counters of one listener in one source: bytes sent to and got from clients, connections, bad requests."""

    tx: int = 0
    rx: int = 0
    totconns: int = 0
    ereq: int = 0

    def since(self, earlier: "Reading") -> "Reading":
        """What was added. A source never counts back: an older reading that comes late adds nothing."""
        return Reading(
            max(0, self.tx - earlier.tx),
            max(0, self.rx - earlier.rx),
            max(0, self.totconns - earlier.totconns),
            max(0, self.ereq - earlier.ereq),
        )

    def plus(self, other: "Reading") -> "Reading":
        return Reading(self.tx + other.tx, self.rx + other.rx, self.totconns + other.totconns, self.ereq + other.ereq)


_KERNEL = "kernel-"
_NOTHING = Reading()


class _Kept(Struct):
    """What is on disk: last readings by source and listener, totals, and the part of them that was told."""

    sources: dict[str, dict[str, Reading]] = {}
    totals: dict[str, Reading] = {}
    told: dict[str, Reading] = {}


_decoder = msgspec.json.Decoder(_Kept)


class Meter:
    """Counters of one amphora. `path`: where they outlive the agent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = _Kept()
        #: the disk did not take the last of it
        self._unsaved = False
        # Without it the next beat tells all that the worker has counted: as after its start.
        with suppress(FileNotFoundError, msgspec.DecodeError):
            self._kept = _decoder.decode(path.read_bytes())

    def workers(self) -> frozenset[str]:
        """Workers that were ever read and not forgotten."""
        return frozenset(name for name in self._kept.sources if not name.startswith(_KERNEL))

    def absorb_kernel(self, namespace: int, readings: dict[str, Reading], listeners: Container[str]) -> None:
        """Take in what the packet rules of a namespace (its inode) have counted. An earlier one is gone."""
        source = f"{_KERNEL}{namespace}"
        for each in [name for name in self._kept.sources if name.startswith(_KERNEL) and name != source]:
            self.forget(each)
        before = self._kept.sources.get(source, {})
        for name, reading in readings.items():
            if name in before and before[name].since(reading) != _NOTHING:
                # Rules that were taken away and made again count from zero, in the same namespace.
                del before[name]
        self.absorb(source, readings, listeners)

    def absorb(self, source: str, readings: dict[str, Reading], listeners: Container[str]) -> None:
        """Take in what a source has counted by now, by listener.

        `listeners`: those that are an amphora's now; what was one of them before is counted too, anything else not.
        """
        before = self._kept.sources.setdefault(source, {})
        totals = self._kept.totals
        for name, reading in readings.items():
            if name not in listeners and name not in totals:
                continue
            earlier = before.get(name, _NOTHING)
            totals[name] = totals.get(name, _NOTHING).plus(reading.since(earlier))
            # Added to what it was, not replaced: of two readings the later may come first.
            before[name] = earlier.plus(reading.since(earlier))

    def forget(self, source: str) -> None:
        """The source is gone and will never be read again."""
        self._kept.sources.pop(source, None)

    def finish(self, source: str) -> bool:
        """Forget a source that has counted its last, once the totals with that are on disk. False: they are not, and
        it is to be read again."""
        last = self._kept.sources.pop(source)
        if self._saved():
            return True
        self._kept.sources[source] = last
        return False

    def untold(self) -> frozenset[str]:
        """Listeners that counted since they were last told."""
        return frozenset(name for name, total in self._kept.totals.items() if total != self._kept.told.get(name))

    def take(self, listeners: Iterable[str]) -> tuple[dict[str, ListenerTotals], dict[str, Reading]]:
        """The totals of these listeners, and what was added to each since the last call: that is told now.

        It is on disk before it is returned: a beat that gets lost with the agent is not counted twice by those who
        add up what it says. Where the disk is full it is told all the same: totals are right without, and a silent
        amphora is suspected.
        """
        totals: dict[str, ListenerTotals] = {}
        added: dict[str, Reading] = {}
        for name in listeners:
            # Last in the dictionary: the first to go when there are too many.
            total = self._kept.totals[name] = self._kept.totals.pop(name, _NOTHING)
            added[name] = total.since(self._kept.told.get(name, _NOTHING))
            totals[name] = ListenerTotals(tx=total.tx, rx=total.rx, totconns=total.totconns, ereq=total.ereq)
            self._kept.told[name] = total
        while len(self._kept.totals) > _MOST_LISTENERS:
            oldest = next(iter(self._kept.totals))
            del self._kept.totals[oldest]
            self._kept.told.pop(oldest, None)
        self._saved()
        return totals, added

    def save(self) -> None:
        """Keep it all for the next agent. Raises PlumbingError."""
        disk.write(self._path, msgspec.json.encode(self._kept), durable=False)

    def _saved(self) -> bool:
        """`save`; False when the disk did not take it, which the log tells once."""
        try:
            self.save()
        except PlumbingError as error:
            if not self._unsaved:
                log.warning("counters are not kept for the next agent", reason=error.message)
            self._unsaved = True
            return False
        self._unsaved = False
        return True
