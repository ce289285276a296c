"""Periodic jobs, each done by one process at a time: the holder of the job's lease (design, section 2)."""

from datetime import timedelta
from threading import Event

import structlog
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.services.idempotency import KEPT
from livia.store import leases, purge
from livia.store.engine import Database

log = structlog.get_logger()


class House:
    """Purges what is DELETED and answers that are too old to repeat.

    Ages and intervals in seconds (contract 90, [house_keeping]).
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        owner: str,
        interval: float,
        amphora_age: float,
        load_balancer_age: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._interval = interval
        self._amphora_age = timedelta(seconds=amphora_age)
        self._load_balancer_age = timedelta(seconds=load_balancer_age)

    def run(self, stop: Event) -> None:
        """Do the jobs every interval until stopped."""
        while not stop.wait(self._interval):
            try:
                self.clean()
            except SQLAlchemyError as error:
                log.warning("the database was not cleaned", error=str(error))

    def clean(self) -> int:
        """Purge old rows, unless another process is at it. How many rows went."""
        lease = self._database.transaction(
            lambda connection: leases.take(connection, "house:purge", self._owner, self._interval)
        )
        if lease is None:
            return 0
        now = self._clock.now()
        gone = self._database.transaction(
            lambda connection: (
                purge.amphorae(connection, now - self._amphora_age)
                + purge.load_balancers(connection, now - self._load_balancer_age)
                + purge.answers(connection, now - KEPT)
            )
        )
        if gone:
            log.info("purged", rows=gone)
        self._database.transaction(lambda connection: leases.release(connection, lease))
        return gone
