"""Rows that are DELETED long enough go for good, and with them what is too old to be asked for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.house.runner import Outcome, Turn
from livia.services.idempotency import KEPT
from livia.store import purge
from livia.store.engine import Database

#: seconds between two batches, in which others write: on SQLite there is one writer at a time
_REST = 0.02


class Purge:
    """A Job. Ages in seconds (contract 90, [house_keeping])."""

    name = "purge"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        interval: float,
        amphora_age: float,
        load_balancer_age: float,
        event_age: float,
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._kinds = {
            "amphora": (purge.AMPHORAE, timedelta(seconds=amphora_age)),
            # Before the load balancers: whatever hangs on one that was deleted goes in batches too.
            "event of a deleted load balancer": (purge.EVENTS_OF_DELETED, timedelta(seconds=load_balancer_age)),
            "load_balancer": (purge.LOAD_BALANCERS, timedelta(seconds=load_balancer_age)),
            "event": (purge.EVENTS, timedelta(seconds=event_age)),
            "answer": (purge.ANSWERS, KEPT),
        }
        self._rows = Counter("livia_house_purged_rows_total", "Rows purged.", ["kind"], registry=registry)

    def run(self, turn: Turn) -> Outcome:
        """Purge until nothing is old."""
        now = self._clock.now()
        gone = {kind: self._all(turn, kind, what, now - age) for kind, (what, age) in self._kinds.items()}
        told = ", ".join(f"{rows} of {kind}" for kind, rows in gone.items() if rows)
        return Outcome(done=sum(gone.values()), reason=f"purged: {told}" if told else "nothing is old enough")

    def _all(self, turn: Turn, kind: str, what: purge.Old, before: datetime) -> int:
        total = 0
        while True:
            turn.step()
            with self._database.read() as connection:
                # Outside of the transaction: it holds nobody up, however many rows it looks at.
                ids = what.find(connection, before)
            if not ids:
                return total
            rows = self._database.transaction(partial(_drop, what, ids, before))
            self._rows.labels(kind).inc(rows)
            total += rows
            if len(ids) < purge.BATCH:
                return total
            turn.pause(_REST)


def _drop(what: purge.Old, ids: Sequence[Any], before: datetime, connection: Connection) -> int:
    return what.drop(connection, ids, before)
