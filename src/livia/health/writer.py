"""Writes what changed, in batches; nothing of it is on the path of a heartbeat (design, section 9)."""

from collections.abc import Callable
from functools import partial
from threading import Event

import structlog
from msgspec import structs
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.core.model.status import Operating, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.rules.operating_status import Statuses, deciding, derive
from livia.health.fleet import Changes, Fleet
from livia.store import amphorae, hosts, reports, trees
from livia.store import tables as t
from livia.store.engine import Database

log = structlog.get_logger()

#: seconds between two flushes of counters, and the pause after a failed one
FLUSH_SECONDS = 1.0
#: a burst of changed statuses is written together
_GATHER_SECONDS = 0.05
#: seconds between two writes of `last_update` and of hosts that say nothing new
_TOUCH_SECONDS = 5.0


class Writer:
    """One thread. `on_outage` is told when the database did not take a flush."""

    def __init__(self, database: Database, fleet: Fleet, clock: Clock, on_outage: Callable[[], None]) -> None:
        self._database = database
        self._fleet = fleet
        self._clock = clock
        self._on_outage = on_outage
        self._touched = float("-inf")
        self._heard: set[str] = set()
        self._hosts: dict[str, tuple[object, float]] = {}

    def run(self, stop: Event) -> None:
        """Flush until stopped; a last time at the end."""
        while not stop.is_set():
            changes = self._fleet.take(FLUSH_SECONDS)
            self.flush(changes)
            stop.wait(_GATHER_SECONDS)
        self.flush(self._fleet.take(0.0))

    def flush(self, changes: Changes) -> None:
        """Write one batch of changes; what of it the database does not take is kept for later."""
        try:
            if changes.counters or changes.totals:
                self._database.transaction(lambda connection: _count(connection, changes))
                # What was added must not be added again, whatever of the rest fails.
                changes = structs.replace(changes, counters={}, totals={})
            self._write(changes)
        except SQLAlchemyError as error:
            log.warning("heartbeats not written", error=str(error))
            self._fleet.put_back(changes)
            self._on_outage()

    def _write(self, changes: Changes) -> None:
        for amphora_id in changes.amphorae:
            self._settle(amphora_id)
        self._heard |= changes.heard
        now = self._clock.monotonic()
        self._write_hosts(changes, now)
        if self._heard and now - self._touched >= _TOUCH_SECONDS:
            heard, moment = frozenset(self._heard), self._clock.now()
            self._database.transaction(lambda connection: reports.touch(connection, heard, moment))
            self._touched = now
            self._heard.clear()

    def _write_hosts(self, changes: Changes, now: float) -> None:
        for host_id, facts in changes.hosts.items():
            known, at = self._hosts.get(host_id, (None, 0.0))
            comparable = structs.replace(facts, amphorae=0)
            if known != comparable or now - at >= _TOUCH_SECONDS:
                self._database.transaction(partial(hosts.seen, host_id=host_id, facts=facts))
                self._hosts[host_id] = (comparable, now)

    def _settle(self, amphora_id: str) -> None:
        """Derive the statuses of the amphora's load balancer and write those that changed."""
        with self._database.read() as connection:
            amphora = amphorae.one(connection, amphora_id)
            owner = None if amphora is None else amphora.load_balancer_id
            tree = None if owner is None else trees.load(connection, owner)
        if amphora is None or tree is None:
            return
        report = deciding(self._fleet.reports(frozenset(each.id for each in tree.amphorae)))
        if report is None:
            return
        own = self._fleet.reports(frozenset({amphora_id}))
        statuses = derive(tree, report)

        def write(connection: Connection) -> None:
            for heartbeat in own:
                reports.set_vip_holder(connection, amphora_id, heartbeat.holds_vip)
            _write_changed(connection, tree, statuses)

        if _changed(tree, statuses) or any(each.holds_vip != amphora.holds_vip for each in own):
            self._database.transaction(write)
        busy = tree.load_balancer.provisioning_status is not Provisioning.ACTIVE
        if busy or report.generation != tree.load_balancer.generation:
            # The rows or the amphora will move on without the report changing: look once more.
            self._fleet.look_again(amphora_id)


def _count(connection: Connection, changes: Changes) -> None:
    for (listener_id, amphora_id), counters in changes.counters.items():
        reports.add_counters(connection, listener_id, amphora_id, **structs.asdict(counters))
    for (listener_id, amphora_id), totals in changes.totals.items():
        reports.raise_counters(connection, listener_id, amphora_id, **structs.asdict(totals))


def _current(tree: LoadBalancerTree) -> Statuses:
    return Statuses(
        load_balancer=tree.load_balancer.operating_status,
        listeners={each.id: each.operating_status for each in tree.listeners},
        pools={each.id: each.operating_status for each in tree.pools},
        members={each.id: each.operating_status for pool in tree.pools for each in pool.members},
    )


def _differing(now: dict[str, Operating], before: dict[str, Operating]) -> dict[str, Operating]:
    return {key: status for key, status in now.items() if before.get(key) is not status}


def _changed(tree: LoadBalancerTree, statuses: Statuses) -> bool:
    before = _current(tree)
    return before.load_balancer is not statuses.load_balancer or any(
        _differing(dict(now), dict(then))
        for now, then in (
            (statuses.listeners, before.listeners),
            (statuses.pools, before.pools),
            (statuses.members, before.members),
        )
    )


def _write_changed(connection: Connection, tree: LoadBalancerTree, statuses: Statuses) -> None:
    before = _current(tree)
    key = tree.load_balancer.id
    reports.set_operating_status(connection, t.load_balancer, {key: statuses.load_balancer})
    reports.set_operating_status(connection, t.listener, _differing(dict(statuses.listeners), dict(before.listeners)))
    reports.set_operating_status(connection, t.pool, _differing(dict(statuses.pools), dict(before.pools)))
    reports.set_operating_status(connection, t.member, _differing(dict(statuses.members), dict(before.members)))
