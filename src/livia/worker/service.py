"""The worker: takes due keys, most urgent first and fairly between projects, and reconciles each under a lease."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Event, Lock, Thread
from time import monotonic
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from livia.core.wake import Wake
from livia.store import leases, work
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.store.work import LONGEST_PAUSE, Due
from livia.worker.attempt import Executors
from livia.worker.metrics import Metrics
from livia.worker.outcome import Again, Done, Outcome
from livia.worker.reconciler import Reconciler
from livia.worker.turns import Turns

log = structlog.get_logger()

LEASE_SECONDS = 15.0
#: the longest that a lost wake-up costs
POLL_SECONDS = 1.0
_BATCH = 256
#: seconds after which a reconcile counts as stalled: it waits for a far side, and another may run meanwhile
_STALLED = 5.0
#: reconciles under way for each thread, at most: one that runs, and others that are stalled
_DEPTH = 4
#: seconds before another try after a reconcile that ended in an unforeseen error
_BROKEN_OFF_PAUSE = 5.0


class HeldLease:
    """A lease and whether it is still ours. `project_id`: whose the key is."""

    def __init__(self, lease: Lease, project_id: str | None = None) -> None:
        self._lease = lease
        self.project_id = project_id
        self._lost = False
        #: set when we let go of it ourselves
        self.over = False
        #: the work row's, as it was when the reconcile began
        self.version: int | None = None
        self.request_id: str | None = None
        #: this reconcile may end its worker
        self.suspect = False
        self._since = monotonic()
        #: seconds of `held_for` that the work row knows of already
        self.counted = 0.0
        #: what the reconcile is at
        self.doing = "nothing was begun"
        #: what had been asked for was confirmed under it
        self.confirmed = False

    @property
    def lease(self) -> Lease:
        return self._lease

    @property
    def held_for(self) -> float:
        """Seconds."""
        return monotonic() - self._since

    @property
    def uncounted(self) -> float:
        """Seconds that the work row does not know of."""
        return self.held_for - self.counted

    def valid(self) -> bool:
        return not self._lost

    def lose(self) -> None:
        """It could not be renewed: nothing more may be done under it."""
        self._lost = True

    def at(self, doing: str) -> None:
        """What the reconcile does next."""
        self.doing = doing

    def confirm(self) -> None:
        """What was asked for is confirmed; what comes later is new."""
        self.confirmed = True


class Worker:
    """Runs until stopped. `owner` must be unique to this process: it takes back its own leases at once.

    `deserted` tells of owners that died and have not come back: what they held is free again, too.
    `threads`: reconciles at once; those that are stalled do not count, up to three times as many.
    `deadline`: seconds after which a single reconcile counts as hung: whatever a far side does not answer, its key is
    free again then, and another thread has its place.
    """

    def __init__(
        self,
        database: Database,
        make_reconciler: Callable[[Executors], Reconciler],
        wait_for_hint: Callable[[float], bool],
        wake: Wake,
        *,
        owner: str,
        deserted: Callable[[], Iterable[str]] = tuple,
        threads: int = 4,
        deadline: float = 300.0,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._wait_for_hint = wait_for_hint
        self._wake = wake
        self._owner = owner
        self._deserted = deserted
        self._threads = threads
        self._deadline = deadline
        self._metrics = metrics or Metrics(CollectorRegistry())
        self._hinted = False
        self._turns = Turns(threads)
        self._running: dict[str, HeldLease] = {}
        #: something is due that waits for a thread
        self._crowded = False
        self._lock = Lock()
        self._idle = Condition(self._lock)
        self._stop = Event()
        self._make_reconciler = make_reconciler
        self._begin_afresh()

    def run(self) -> None:
        """Work until `stop`. What an earlier life of this owner held is free at once."""
        self._take_back(self._owner)
        self._inherit()
        renewer = Thread(target=self._renew, name="lease-renewer", daemon=True)
        renewer.start()
        while not self._stop.is_set():
            pause = POLL_SECONDS
            try:
                pause = self._dispatch()
            except SQLAlchemyError as error:
                log.warning("the database does not answer", error=str(error))
            if pause > 0:
                self._hinted = self._wait_for_hint(pause)
        for pool in (self._pool, self._actions, self._removals):
            pool.shutdown(wait=True)

    def _begin_afresh(self) -> None:
        """With threads of which none hangs. What runs on earlier ones goes on there, and they end after it."""
        # Each begins threads only as they are needed.
        most = _DEPTH * self._threads
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="reconcile")
        # Apart from the first: a reconcile waits for its actions, and must not wait for a thread it occupies.
        self._actions = ThreadPoolExecutor(2 * most, thread_name_prefix="action")
        self._removals = ThreadPoolExecutor(2 * self._threads, thread_name_prefix="removal")
        self._reconciler = self._make_reconciler(Executors(actions=self._actions, removals=self._removals))

    def stop(self) -> None:
        """Finish what is under way, take nothing more."""
        self._stop.set()

    def _dispatch(self) -> float:
        """Hand out what is due, as far as threads are free. Seconds until the next look."""
        with self._idle:
            stalled = Counter(held.project_id for held in self._running.values() if held.held_for > _STALLED)
            suspected = any(held.suspect and held.held_for <= _STALLED for held in self._running.values())
            running = Counter(held.project_id for held in self._running.values()) - stalled
            free = min(self._threads - running.total(), _DEPTH * self._threads - len(self._running))
            # Full: a thread that gets free wakes us.
            if free <= 0:
                self._idle.wait(POLL_SECONDS)
                return 0.0
            # Before the look: a thread that ends after it tells of itself.
            self._crowded = True
            keys = set(self._running)
        with self._database.read() as connection:
            due = work.due(connection, self._threads + max(stalled.values(), default=0), _BATCH, owner=self._owner)
        # A key that is about to be let go may be due again already: its thread tells when it is.
        ready = [entry for entry in due if entry.key not in keys]
        chosen = self._turns.take(ready, running, free, stalled, suspected=suspected)
        for held, entry in self._lease(chosen):
            self._start(held, entry)
        if len(chosen) == free:
            return 0.0
        self._crowded = len(due) > len(chosen)
        with self._database.read() as connection:
            soonest = work.next_due(connection)
        return POLL_SECONDS if soonest is None or soonest <= 0 else min(POLL_SECONDS, soonest)

    def _lease(self, chosen: Sequence[Due]) -> list[tuple[HeldLease, Due]]:
        """What of these is ours now, in one transaction; with the work rows as they are under the lease: what was asked
        for since they were picked is part of this run."""

        def take(connection: Connection) -> tuple[list[tuple[HeldLease, Due]], int]:
            taken, crashes = [], 0
            # In one order everywhere: workers that lease the same keys must not wait for each other in a circle.
            for key in sorted(entry.key for entry in chosen):
                lease = leases.take(connection, key, self._owner, LEASE_SECONDS)
                if lease is None:
                    continue
                if lease.deserter is not None:
                    work.crashed(connection, key)
                    crashes += 1
                entry = work.one(connection, key)
                if entry is None or (lease.deserter is not None and entry.suspect):
                    # Nothing is left to do, or there is a pause now.
                    leases.release(connection, lease)
                else:
                    taken.append((HeldLease(lease, entry.project_id), entry))
            return taken, crashes

        if not chosen:
            return []
        taken, crashes = self._database.transaction(take)
        self._metrics.crashed.inc(crashes)
        return taken

    def _start(self, held: HeldLease, entry: Due) -> None:
        if entry.attempts == 0:
            self._metrics.found.labels("hint" if self._hinted else "poll").inc()
            self._metrics.start_delay.observe(max(0.0, entry.late))
        held.version, held.request_id, held.suspect = entry.version, entry.request_id, entry.suspect
        with self._lock:
            self._running[entry.key] = held
            self._metrics.running.set(len(self._running))
        self._pool.submit(self._work_on, held, entry)

    def _work_on(self, held: HeldLease, entry: Due) -> None:
        started, outcome = monotonic(), "broken_off"
        with bound_contextvars(reconcile_id=f"rec-{uuid4()}"):
            try:
                outcome = self._reconcile(held, entry)
            except Exception:
                # The outermost loop of a reconcile: whatever happened, the key is tried again and others go on.
                log.exception("reconcile broke off", load_balancer=entry.key)
                self._settle(held, None)
            finally:
                self._metrics.reconciles.labels(outcome).observe(monotonic() - started)
                self._let_go(held)

    def _let_go(self, held: HeldLease) -> None:
        key = held.lease.key
        with self._idle:
            # One that hung was given up, and its key may be under way again.
            if self._running.get(key) is held:
                del self._running[key]
            self._metrics.running.set(len(self._running))
            self._idle.notify()
            crowded = self._crowded
        if crowded:
            self._wake.hint(key)

    def _reconcile(self, held: HeldLease, entry: Due) -> str:
        """One look under the lease; how it ended, in one word."""
        self._metrics.attempts.observe(entry.attempts)
        ids = {} if entry.request_id is None else {"request_id": entry.request_id}
        with bound_contextvars(**ids):
            if entry.suspect and entry.spent >= self._deadline:
                reason = f"not done within {self._deadline:.0f} s: {work.crash_reason(entry.crashes)}"
                self._reconciler.fail_first(entry.key, reason, entry.request_id)
            outcome = self._reconciler.reconcile(
                held, attempts=entry.attempts, spent=entry.spent, request_id=entry.request_id
            )
            log.info("reconciled", load_balancer=entry.key, outcome=type(outcome).__name__, reason=outcome.reason)
        self._settle(held, (entry, outcome))
        return type(outcome).__name__.lower()

    def _settle(self, held: HeldLease, result: tuple[Due, Outcome] | None) -> None:
        """Record the outcome and let go of the key, in one transaction. What was lost is another's to settle."""
        if not held.valid():
            return
        held.over, took = True, held.uncounted

        def record(connection: Connection) -> bool:
            # The lease before the work, as everywhere: two who change both must not wait for each other in a circle.
            if not leases.release(connection, held.lease):
                return False
            if result is None:
                work.again(connection, held.lease.key, None, _BROKEN_OFF_PAUSE, "the last try broke off", took=took)
                return False
            return settle(connection, *result, took=took, confirmed=held.confirmed)

        if not self._database.transaction(record):
            # More is to be done, perhaps at once: the dispatcher looks again instead of sleeping on.
            self._wake.hint(held.lease.key)

    def _take_back(self, owner: str) -> None:
        def free(connection: Connection) -> int:
            freed = leases.release_all(connection, owner)
            for key in freed:
                work.crashed(connection, key)
            return len(freed)

        freed = self._database.transaction(free)
        if freed:
            log.warning("a worker was killed: its work goes on here", owner=owner, leases=freed)
            self._metrics.crashed.inc(freed)
            self._wake.hint(owner)

    def _inherit(self) -> None:
        try:
            for owner in self._deserted():
                self._take_back(owner)
        except (OSError, SQLAlchemyError) as error:
            log.warning("nobody looked after workers that were killed", error=str(error))

    def _renew(self) -> None:
        while not self._stop.wait(min(LEASE_SECONDS, self._deadline) / 3):
            self._inherit()
            with self._lock:
                running = list(self._running.values())
            for held in running:
                try:
                    if not held.over and held.held_for > self._deadline:
                        self._give_up(held)
                        continue
                    kept = self._keep(held)
                except SQLAlchemyError:
                    continue
                if not kept and not held.over:
                    log.warning("lease lost", load_balancer=held.lease.key)
                    self._metrics.leases_lost.inc()
                    held.lose()

    def _keep(self, held: HeldLease) -> bool:
        """Renew the lease, and note how long it is in use: whoever finds it deserted knows at least that."""
        took = held.uncounted

        def keep(connection: Connection) -> bool:
            kept = leases.renew(connection, held.lease, LEASE_SECONDS)
            if kept:
                work.goes_on(connection, held.lease.key, took)
            return kept

        kept = self._database.transaction(keep)
        held.counted += took
        return kept

    def _give_up(self, held: HeldLease) -> None:
        """Take the key from a reconcile that hangs: ERROR with the reason, lease free, another try later."""
        held.lose()
        key, reason = held.lease.key, f"not done within {self._deadline:.0f} s, and still at this: {held.doing}"
        log.error("reconcile hangs", load_balancer=key, seconds=round(held.held_for), reason=reason)
        self._metrics.overdue.inc()
        self._begin_afresh()

        def record(connection: Connection) -> None:
            leases.release(connection, held.lease)
            work.again(connection, key, held.version, LONGEST_PAUSE, reason, took=held.uncounted)

        try:
            self._reconciler.give_up(key, reason, held.request_id)
            self._database.transaction(record)
        finally:
            # Last: what we hold and are not at is taken up again at once.
            self._let_go(held)


def settle(connection: Connection, entry: Due, outcome: Outcome, *, took: float, confirmed: bool) -> bool:
    """What becomes of the row of work after a try of `took` seconds; True: it is done. A load balancer that is changed
    without a pause has one forever: nothing was spent yet on what was asked for while earlier ones were confirmed."""
    finished = isinstance(outcome, Done)
    if isinstance(outcome, Done):
        newest = work.done(connection, entry.key, entry.version)
    else:
        settled = isinstance(outcome, Again) and outcome.settled
        newest = work.again(
            connection, entry.key, entry.version, outcome.after, outcome.reason, took=took, settled=settled
        )
        confirmed = confirmed or settled
    if not newest and (finished or confirmed):
        work.count_anew(connection, entry.key)
    elif not newest:
        work.spend(connection, entry.key, took)
    return finished and newest
