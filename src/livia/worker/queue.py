"""What waits for workers, for whoever scrapes: asked of the database when it is, and at most so often."""

from collections.abc import Iterable
from threading import Lock

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.store import backlog
from livia.store.backlog import Backlog
from livia.store.engine import Database
from livia.store.work import Priority

log = structlog.get_logger()

#: seconds that an answer counts for
KEPT = 5.0


class Queue(Collector):
    """The work of the whole installation: every worker tells the same."""

    def __init__(self, database: Database, clock: Clock, registry: CollectorRegistry) -> None:
        self._database = database
        self._clock = clock
        self._lock = Lock()
        self._known: Backlog | None = None
        self._asked = float("-inf")
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing: who registers a collector must not wait for the database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """The series; none while the database does not answer."""
        found = self._backlog()
        return [] if found is None else _series(found)

    def _backlog(self) -> Backlog | None:
        with self._lock:
            now = self._clock.monotonic()
            if now - self._asked >= KEPT:
                self._asked = now
                try:
                    with self._database.read() as connection:
                        self._known = backlog.read(connection)
                except SQLAlchemyError as error:
                    log.warning("the queue cannot be read", error=str(error))
                    self._known = None
            return self._known


def _series(found: Backlog) -> list[Metric]:
    due = GaugeMetricFamily(
        "livia_queue_due",
        f"Load balancers that a worker is at or should be at, by priority; {backlog.MOST} and more are one.",
        labels=["priority"],
    )
    for priority in Priority:
        due.add_metric([priority.name.lower()], found.due.get(int(priority), 0))
    return [
        due,
        GaugeMetricFamily("livia_queue_oldest_due_seconds", "How long the first of them has been due.", found.oldest),
        GaugeMetricFamily(
            "livia_queue_deferred", "Load balancers that are to be tried again, or looked at, later.", found.deferred
        ),
        GaugeMetricFamily("livia_pending_objects", "Load balancers in a PENDING status with work left.", found.pending),
        GaugeMetricFamily(
            "livia_pending_oldest_seconds", "How long ago the change of the oldest of them was asked for.", found.age
        ),
    ]
