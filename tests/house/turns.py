"""Doing one job once, with a clock that is set by hand."""

from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from livia.core.clock import Clock, SystemClock
from livia.house.purge import Purge
from livia.house.runner import Job, Outcome, Runner
from livia.store.engine import Database


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._seconds = 0.0

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def sleep(self, seconds: float) -> None:
        self._seconds += seconds


def turn(
    database: Database,
    job: Job,
    *,
    owner: str = "house",
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
) -> Outcome | None:
    """One process's go at a job."""
    runner = Runner(database, clock or SystemClock(), (), owner=owner, registry=registry or CollectorRegistry())
    return runner.turn(job)


def done(
    database: Database,
    job: Job,
    *,
    owner: str = "house",
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
) -> Outcome:
    """What a job did in a turn that it must get."""
    outcome = turn(database, job, owner=owner, clock=clock, registry=registry)
    assert outcome is not None, "another process has the job"
    return outcome


def clean(database: Database) -> Outcome:
    """Purge with the ages that are set by default."""
    week = 604800.0
    clock = SystemClock()
    job = Purge(
        database,
        clock,
        CollectorRegistry(),
        interval=0.0,
        amphora_age=week,
        load_balancer_age=week,
        event_age=4 * week,
    )
    return done(database, job)
