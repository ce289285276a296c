"""Runs jobs, each in a thread of its own and under a lease of its own: one process does a job at a time, however many
there are (design, section 2).

A job renews its lease by going on: `Turn.step` before every step. One that hangs loses its lease after `LEASE_SECONDS`,
another process does the job from then on, and the one that hung may do nothing more when it wakes up.
"""

from datetime import UTC
from threading import Event, Thread
from typing import Protocol, runtime_checkable

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.store import leases
from livia.store.engine import Database
from livia.store.leases import Lease

log = structlog.get_logger()

#: seconds that one step of a job may take: longer than the slowest answer of an agent
LEASE_SECONDS = 120.0
#: of these, what may pass before a step renews the lease
_RENEW_SECONDS = 10.0
#: seconds after its start that a process does a job first, where the job's interval is not shorter
_FIRST_SECONDS = 5.0


class Outcome(Struct, frozen=True, kw_only=True):
    """What a job did, as a sentence, and to how many things."""

    done: int
    reason: str


class Stopped(Exception):
    """The job is not this process's any more, or the process is to end. The message says which."""


class Turn:
    """One go at a job."""

    def __init__(self, database: Database, clock: Clock, lease: Lease, stop: Event) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._stop = stop
        self._renewed = clock.monotonic()

    @property
    def fence(self) -> int:
        """Higher than that of every earlier turn."""
        return self._lease.fence

    def step(self) -> None:
        """Whether the job may go on: before every step. Raises Stopped."""
        if self._stop.is_set():
            raise Stopped("the process is to end")
        now = self._clock.monotonic()
        if now - self._renewed < _RENEW_SECONDS:
            return
        if not self._database.transaction(lambda connection: leases.renew(connection, self._lease, LEASE_SECONDS)):
            raise Stopped("another process took the job over")
        self._renewed = now

    def pause(self, seconds: float) -> None:
        """Let others at the database, or spread a burst. Raises Stopped."""
        self._stop.wait(seconds)
        self.step()


class Job(Protocol):
    """Something to do again and again. It finds its own earlier work, at whatever step it broke off."""

    @property
    def name(self) -> str: ...

    @property
    def interval(self) -> float:
        """Seconds from one turn to the next, whichever process has it."""

    def run(self, turn: Turn) -> Outcome:
        """Do it once. What it raises is told, and the next turn tries again."""


@runtime_checkable
class Showing(Protocol):
    """A Job that tells scrapes what it last found."""

    def hide(self) -> None:
        """Another process has the job: what this one found is not told any more."""


class Metrics:
    """How jobs fare."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.turns = Counter(
            "livia_house_turns_total", "Turns at jobs by outcome.", ["job", "outcome"], registry=registry
        )
        self.success = Gauge(
            "livia_house_last_success_timestamp_seconds",
            "When this process last did a job to its end.",
            ["job"],
            registry=registry,
        )
        self.duration = Gauge(
            "livia_house_last_duration_seconds", "How long the last turn took.", ["job"], registry=registry
        )
        self.done = Counter(
            "livia_house_done_total", "Things that jobs did something about.", ["job"], registry=registry
        )


class Runner:
    """Does jobs until stopped. `owner` is unique to this process."""

    def __init__(
        self, database: Database, clock: Clock, jobs: tuple[Job, ...], *, owner: str, registry: CollectorRegistry
    ) -> None:
        self._database = database
        self._clock = clock
        self._jobs = jobs
        self._owner = owner
        self._metrics = Metrics(registry)
        self._stop = Event()

    def run(self, stop: Event) -> None:
        """Do every job when it is due. Ends when `stop` is set, and waits for no job that hangs."""
        self._stop = stop
        for job in self._jobs:
            Thread(target=self._repeat, args=(job,), name=job.name, daemon=True).start()
        stop.wait()

    def _repeat(self, job: Job) -> None:
        pause = min(job.interval, _FIRST_SECONDS)
        while not self._stop.wait(pause):
            pause = job.interval
            try:
                self.turn(job)
            except Exception as error:
                # The outermost loop of a job: whatever happened to it, its next turn comes.
                self._metrics.turns.labels(job.name, "failed").inc()
                log.exception("a job of the house failed", job=job.name, error=str(error), again_in=job.interval)

    def turn(self, job: Job) -> Outcome | None:
        """Do a job once; None when that is not this process's turn. Raises what the job raises."""
        key = f"house:{job.name}"
        longest = 2 * LEASE_SECONDS + job.interval
        lease = self._database.transaction(
            lambda connection: leases.take(connection, key, self._owner, LEASE_SECONDS, longest=longest)
        )
        if lease is None:
            if isinstance(job, Showing):
                job.hide()
            return None
        begun = self._clock.monotonic()
        kept = 0.0
        try:
            outcome = job.run(Turn(self._database, self._clock, lease, self._stop))
            # Held on to until the next turn is due: other processes are not to do it in between.
            kept = max(0.0, begun + job.interval - self._clock.monotonic())
        except Stopped as reason:
            outcome = None
            log.info("a job of the house was left", job=job.name, reason=str(reason))
        finally:
            self._metrics.duration.labels(job.name).set(self._clock.monotonic() - begun)
            self._let_go(lease, kept)
        self._tell(job, outcome)
        return outcome

    def _let_go(self, lease: Lease, kept: float) -> None:
        def settle(connection: Connection) -> None:
            if kept > 0:
                leases.renew(connection, lease, kept)
            else:
                leases.release(connection, lease)

        self._database.transaction(settle)

    def _tell(self, job: Job, outcome: Outcome | None) -> None:
        if outcome is None:
            self._metrics.turns.labels(job.name, "left").inc()
            return
        self._metrics.turns.labels(job.name, "done").inc()
        self._metrics.success.labels(job.name).set(self._clock.now().replace(tzinfo=UTC).timestamp())
        self._metrics.done.labels(job.name).inc(outcome.done)
        level = log.info if outcome.done else log.debug
        level("house", job=job.name, done=outcome.done, reason=outcome.reason)
