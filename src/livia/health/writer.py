"""Writes what changed, in batches; nothing of it is on the path of a heartbeat (design, section 9)."""

import time
from collections.abc import Callable
from functools import partial
from threading import Event

import structlog
from msgspec import structs
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.health.fleet import Changes, Counts, Fleet
from livia.health.metrics import Metrics
from livia.health.settling import settle
from livia.store import hosts, reports
from livia.store.engine import Database

log = structlog.get_logger()

#: seconds between two flushes of counters at least, and the pause after a failed one
FLUSH_SECONDS = 1.0
#: a burst of changed statuses is written together
_GATHER_SECONDS = 0.05
#: seconds between two writes of `last_update` and of hosts that say nothing new
_TOUCH_SECONDS = 5.0
#: and at most this share of the timeout: who reads that somebody was heard must not read it when it is too late
_TOUCH_SHARE = 0.2
#: writing that nobody waits for takes at most this share of the time: receiving goes first
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
        metrics: Metrics,
        *,
        behind: Callable[[], float],
        timeout: float,
    ) -> None:
        self._touch_seconds = min(_TOUCH_SECONDS, timeout * _TOUCH_SHARE)
        self._database = database
        self._fleet = fleet
        self._clock = clock
        self._on_outage = on_outage
        self._metrics = metrics
        self._behind = behind
        self._touch_due = self._count_due = float("-inf")
        self._heard: set[str] = set()
        self._hosts: dict[str, tuple[object, float]] = {}

    def run(self, stop: Event) -> None:
        """Flush until stopped; a last time at the end."""
        while not stop.is_set():
            self.flush(self._fleet.take(FLUSH_SECONDS))
            stop.wait(_GATHER_SECONDS)
        self.hasten()
        self.flush(self._fleet.take(0.0))

    def hasten(self) -> None:
        """The next flush writes everything, also what could wait."""
        self._touch_due = self._count_due = float("-inf")

    def flush(self, changes: Changes) -> None:
        """Write one batch of changes, and counters if they are due; what the database does not take is kept."""
        begin = self._clock.monotonic()
        try:
            self._write(changes)
            if begin >= self._count_due:
                self._write_counts(self._fleet.take_counts())
                self._count_due = self._due(begin, FLUSH_SECONDS)
        except SQLAlchemyError as error:
            log.warning("heartbeats not written", error=str(error))
            self._metrics.outages.inc()
            self._fleet.put_back(changes)
            self._on_outage()
        self._metrics.flushes.observe(self._clock.monotonic() - begin)

    def _due(self, begin: float, pause: float) -> float:
        """When to do again what was begun at `begin`."""
        return begin + max(pause, (self._clock.monotonic() - begin) / _SHARE)

    def _write_counts(self, counts: Counts) -> None:
        try:
            for key in reports.batches(counts.added):
                batch = {each: counts.added[each] for each in key}
                self._gently(partial(reports.add_counters, counts=batch))
                # What was added must not be added again, whatever of the rest fails.
                for each in key:
                    del counts.added[each]
            for key in reports.batches(counts.totals):
                batch = {each: counts.totals[each] for each in key}
                self._gently(partial(reports.raise_counters, counts=batch))
        except SQLAlchemyError:
            self._fleet.put_back_counts(counts)
            raise

    def _gently(self, act: Callable[[Connection], None]) -> None:
        """A transaction of which there may be many: between them the receiver gets its turn, if it has work."""
        begin = self._clock.monotonic()
        self._database.transaction(act)
        self._give_way(begin)

    def _give_way(self, begin: float) -> None:
        if self._behind() > _BEHIND:
            time.sleep(min(_LONGEST_PAUSE, (self._clock.monotonic() - begin) / _SHARE))

    def _write(self, changes: Changes) -> None:
        ids = sorted(changes.amphorae)
        for start in range(0, len(ids), _LOOKED_AT):
            begin = self._clock.monotonic()
            settle(self._database, self._fleet, frozenset(ids[start : start + _LOOKED_AT]))
            self._give_way(begin)
        self._heard |= changes.heard
        now = self._clock.monotonic()
        self._write_hosts(changes, now)
        if self._heard and now >= self._touch_due:
            self._touch()
            self._touch_due = self._due(now, self._touch_seconds)

    def _touch(self) -> None:
        for batch in reports.batches(self._heard):
            moment = self._clock.now()
            self._fleet.wrote(batch, moment)
            self._gently(partial(reports.touch, batch=batch, now=moment))
            self._heard.difference_update(batch)

    def _write_hosts(self, changes: Changes, now: float) -> None:
        tell = {}
        for host_id, facts in changes.hosts.items():
            known, at = self._hosts.get(host_id, (None, 0.0))
            if known != structs.replace(facts, amphorae=0) or now - at >= self._touch_seconds:
                tell[host_id] = facts
        if not tell:
            return

        def write(connection: Connection) -> None:
            for host_id in sorted(tell):
                hosts.seen(connection, host_id, tell[host_id])

        self._database.transaction(write)
        self._hosts |= {host_id: (structs.replace(facts, amphorae=0), now) for host_id, facts in tell.items()}
