"""Writes what changed, in batches; nothing of it is on the path of a heartbeat (design, section 9)."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from threading import Event

import structlog
from msgspec import structs
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, SQLAlchemyError

from livia.core.clock import Clock
from livia.core.report import HostFacts
from livia.health.counts import Counts
from livia.health.fleet import Changes, Fleet
from livia.health.metrics import Writing
from livia.health.settling import look_again, settle
from livia.store import hosts, reports
from livia.store.engine import Database

log = structlog.get_logger()

#: seconds between two writes of an amphora's counters at least, and between two looks at what could not be settled;
#: the pause after a failed flush
FLUSH_SECONDS = 1.0
#: a burst of changed statuses is written together
_GATHER_SECONDS = 0.05
#: seconds between two writes of `last_update` and of hosts that say nothing new
_TOUCH_SECONDS = 5.0
#: and at most this share of the timeout: who reads that somebody was heard must not read it when it is too late
_TOUCH_SHARE = 0.2
#: a host that was silent for this share of the timeout may have been taken for lost by who places amphorae
_AWAY_SHARE = 0.5
#: writing counters, which nobody waits for, takes at most this share of the time: receiving goes first
_COUNT_SHARE = 0.15
#: and whatever else is written takes this one while heartbeats wait
_SHARE = 0.2
#: amphorae whose load balancers are read at once
_LOOKED_AT = 200
#: seconds that heartbeats may wait before writing gives way to receiving, and for how long it does at most
_BEHIND = 0.02
_LONGEST_PAUSE = 0.5


class Writer:
    """One thread. `on_outage` is told when the database did not take a flush; `behind`: seconds that heartbeats wait
    to be received; `timeout`: seconds of silence after which others that read what is written suspect a sender."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        clock: Clock,
        on_outage: Callable[[], None],
        metrics: Writing,
        *,
        behind: Callable[[], float],
        timeout: float,
    ) -> None:
        self._touch_seconds = min(_TOUCH_SECONDS, timeout * _TOUCH_SHARE)
        self._away_seconds = timeout * _AWAY_SHARE
        self._database = database
        self._fleet = fleet
        self._clock = clock
        self._on_outage = on_outage
        self._metrics = metrics
        self._behind = behind
        self._touch_due = self._count_due = self._again_due = float("-inf")
        self._hosts: dict[str, tuple[object, float]] = {}

    def run(self, stop: Event) -> None:
        """Flush until stopped; a last time at the end."""
        while not stop.is_set():
            self.flush(self._fleet.take(self._pause()))
            stop.wait(_GATHER_SECONDS)
        self.flush(self._fleet.take(0.0), everything=True)

    def _pause(self) -> float:
        """Seconds until something is due, if nothing happens meanwhile."""
        due = min(self._count_due, self._touch_due, self._again_due)
        return min(FLUSH_SECONDS, max(0.0, due - self._clock.monotonic()))

    def flush(self, changes: Changes, *, everything: bool = False) -> None:
        """Write a batch of changes, and what else is due; what the database does not take is kept.

        However many changes there are, and counters: who was heard is written in time. `everything`: also what could
        wait.
        """
        begin = self._clock.monotonic()
        if everything:
            self._touch_due = self._again_due = float("-inf")
        try:
            self._write_hosts(changes)
            self._write_due()
            self._settle(changes)
            while everything and changes.more:
                changes = self._fleet.take(0.0)
                self._settle(changes)
            self._look_again()
            while everything and self._count():
                pass
        except SQLAlchemyError as error:
            log.warning("heartbeats not written", error=str(error))
            self._metrics.outages.inc()
            self._fleet.put_back(changes)
            self._touch_due = self._count_due = self._again_due = begin + FLUSH_SECONDS
            self._on_outage()
        self._metrics.flushes.observe(self._clock.monotonic() - begin)

    def _write_due(self) -> None:
        """Who was heard, and some of the counters, each when its time has come."""
        now = self._clock.monotonic()
        if now >= self._touch_due:
            self._touch()
        if now >= self._count_due:
            self._count()

    def _touch(self) -> None:
        begin = self._clock.monotonic()
        heard = self._fleet.take_heard()
        try:
            for batch in reports.batches(heard):
                moment = self._clock.now()
                self._fleet.wrote(moment)
                self._database.transaction(partial(reports.touch, batch=batch, now=moment))
                heard.difference_update(batch)
        except SQLAlchemyError:
            self._fleet.put_back_heard(heard)
            raise
        self._touch_due = begin + self._touch_seconds

    def _settle(self, changes: Changes) -> None:
        """Those that changed go first."""
        for ids in (*_groups(sorted(changes.changed)), *_groups(changes.waiting)):
            begin = self._clock.monotonic()
            settle(self._database, self._fleet, frozenset(ids))
            self._give_way(begin)
            self._write_due()

    def _look_again(self) -> None:
        now = self._clock.monotonic()
        if now < self._again_due:
            return
        looks = self._fleet.take_again()
        try:
            for ids in _groups(sorted(looks)):
                begin = self._clock.monotonic()
                look_again(self._database, self._fleet, {each: looks[each] for each in ids})
                for each in ids:
                    del looks[each]
                self._give_way(begin)
                self._write_due()
        except SQLAlchemyError:
            self._fleet.look_again(looks)
            raise
        self._again_due = now + FLUSH_SECONDS

    def _count(self) -> bool:
        """Write counters, those first that wait longest; whether there are more."""
        begin = self._clock.monotonic()
        counts = self._fleet.take_counts()
        self._write_counts(counts)
        pause = 0.0 if counts.more else FLUSH_SECONDS
        self._count_due = begin + max(pause, (self._clock.monotonic() - begin) / _COUNT_SHARE)
        return counts.more

    def _write_counts(self, counts: Counts) -> None:
        try:
            for key in reports.batches(counts.added):
                batch = {each: counts.added[each] for each in key}
                self._database.transaction(partial(reports.add_counters, counts=batch))
                # What was added must not be added again, whatever of the rest fails.
                for each in key:
                    del counts.added[each]
            for key in reports.batches(counts.stated):
                batch = {each: counts.stated[each] for each in key}
                self._database.transaction(partial(reports.replace_counters, counts=batch))
            for key in reports.batches(counts.totals):
                batch = {each: counts.totals[each] for each in key}
                self._database.transaction(partial(reports.raise_counters, counts=batch))
        except SQLAlchemyError:
            self._fleet.put_back_counts(counts)
            raise

    def _give_way(self, begin: float) -> None:
        """Between transactions of which there may be many the receiver gets its turn, if it has work."""
        if self._behind() > _BEHIND:
            time.sleep(min(_LONGEST_PAUSE, (self._clock.monotonic() - begin) / _SHARE))

    def _write_hosts(self, changes: Changes) -> None:
        now = self._clock.monotonic()
        tell, room = {}, False
        for host_id, facts in changes.hosts.items():
            known, at = self._hosts.get(host_id, (None, 0.0))
            other = known != structs.replace(facts, amphorae=0)
            if other or now - at >= self._touch_seconds:
                tell[host_id] = facts
                # It appeared, or came back, or was given another capacity.
                room = room or other or now - at >= self._away_seconds
        if not tell:
            return

        self._register(tell, room=room)
        self._hosts |= {host_id: (structs.replace(facts, amphorae=0), now) for host_id, facts in tell.items()}

    def _register(self, tell: Mapping[str, HostFacts], *, room: bool) -> None:
        def write(connection: Connection) -> None:
            for host_id in sorted(tell):
                hosts.seen(connection, host_id, tell[host_id])
            if room:
                hosts.offer_room(connection)

        try:
            self._database.transaction(write)
        except DataError as error:
            # One that no row has room for, e.g. for its name, must not keep all others and every status from theirs.
            for host_id, facts in tell.items() if len(tell) > 1 else ():
                self._register({host_id: facts}, room=room)
            if len(tell) == 1:
                log.error("a host cannot be registered", hosts=list(tell), error=str(error.orig))


def _groups(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _LOOKED_AT] for start in range(0, len(ids), _LOOKED_AT))
