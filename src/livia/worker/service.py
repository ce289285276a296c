"""The worker: takes due keys, most urgent first and fairly between projects, and reconciles each under a lease."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition, Event, Lock, Thread

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from livia.core.wake import Wake
from livia.store import leases, work
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.store.work import Due
from livia.worker.reconciler import Done, Outcome, Reconciler

log = structlog.get_logger()

LEASE_SECONDS = 15.0
#: the longest that a lost wake-up costs
POLL_SECONDS = 1.0
_BATCH = 256
#: seconds before another try after a reconcile that ended in an unforeseen error
_BROKEN_OFF_PAUSE = 5.0


class HeldLease:
    """A lease and whether it is still ours."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._lost = False

    @property
    def lease(self) -> Lease:
        return self._lease

    def valid(self) -> bool:
        return not self._lost

    def lose(self) -> None:
        """It could not be renewed: nothing more may be done under it."""
        self._lost = True


def fair(due: Iterable[Due]) -> list[Due]:
    """Most urgent first; among equals, one of each project in turn, so that no tenant waits for another's burst."""
    lanes: dict[int, dict[str | None, deque[Due]]] = defaultdict(lambda: defaultdict(deque))
    for entry in due:
        lanes[entry.priority][entry.project_id].append(entry)
    order: list[Due] = []
    for priority in sorted(lanes):
        queues = list(lanes[priority].values())
        while queues:
            order += [queue.popleft() for queue in queues]
            queues = [queue for queue in queues if queue]
    return order


class Worker:
    """Runs until stopped. `owner` must be unique to this process: it takes back its own leases at once."""

    def __init__(
        self,
        database: Database,
        make_reconciler: Callable[[ThreadPoolExecutor], Reconciler],
        wait_for_hint: Callable[[float], bool],
        wake: Wake,
        *,
        owner: str,
        threads: int = 4,
    ) -> None:
        self._database = database
        self._wait_for_hint = wait_for_hint
        self._wake = wake
        self._owner = owner
        self._threads = threads
        self._running: dict[str, HeldLease] = {}
        self._lock = Lock()
        self._idle = Condition(self._lock)
        self._stop = Event()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reconcile")
        # Apart from the first: a reconcile waits for its actions, and must not wait for a thread it occupies.
        self._actions = ThreadPoolExecutor(2 * threads, thread_name_prefix="action")
        self._reconciler = make_reconciler(self._actions)

    def run(self) -> None:
        """Work until `stop`. What an earlier life of this owner held is free at once."""
        self._database.transaction(lambda connection: leases.release_all(connection, self._owner))
        renewer = Thread(target=self._renew, name="lease-renewer", daemon=True)
        renewer.start()
        while not self._stop.is_set():
            pause = POLL_SECONDS
            try:
                pause = self._dispatch()
            except SQLAlchemyError as error:
                log.warning("the database does not answer", error=str(error))
            if pause > 0:
                self._wait_for_hint(pause)
        self._pool.shutdown(wait=True)
        self._actions.shutdown(wait=True)

    def stop(self) -> None:
        """Finish what is under way, take nothing more."""
        self._stop.set()

    def _dispatch(self) -> float:
        """Hand out what is due, as far as threads are free. Seconds until the next look."""
        with self._idle:
            # Full: a thread that gets free wakes us.
            if len(self._running) >= self._threads:
                self._idle.wait(POLL_SECONDS)
                return 0.0
            free = self._threads - len(self._running)
            busy = set(self._running)
        with self._database.read() as connection:
            due = [entry for entry in work.due(connection, _BATCH) if entry.key not in busy]
            soonest = work.next_due(connection)
        for entry in fair(due)[:free]:
            self._start(entry)
        if len(due) > free:
            return 0.0
        if soonest is None or soonest <= 0:
            return POLL_SECONDS
        return min(POLL_SECONDS, soonest)

    def _start(self, entry: Due) -> None:
        lease = self._database.transaction(
            lambda connection: leases.take(connection, entry.key, self._owner, LEASE_SECONDS)
        )
        if lease is None:
            return
        held = HeldLease(lease)
        with self._lock:
            self._running[entry.key] = held
        self._pool.submit(self._work_on, held)

    def _work_on(self, held: HeldLease) -> None:
        key = held.lease.key
        try:
            self._reconcile(held)
        except Exception:
            # The outermost loop of a reconcile: whatever happened, the key is tried again and others go on.
            log.exception("reconcile broke off", load_balancer=key)
            self._settle(held, None)
        finally:
            with self._idle:
                self._running.pop(key, None)
                self._idle.notify()

    def _reconcile(self, held: HeldLease) -> None:
        # Read under the lease: what was asked for since the row was picked is part of this run.
        with self._database.read() as connection:
            entry = work.one(connection, held.lease.key)
        if entry is None:
            self._database.transaction(lambda connection: leases.release(connection, held.lease))
            return
        outcome = self._reconciler.reconcile(held, attempts=entry.attempts, age=entry.age)
        log.info("reconciled", load_balancer=entry.key, outcome=type(outcome).__name__, reason=outcome.reason)
        self._settle(held, (entry, outcome))

    def _settle(self, held: HeldLease, result: tuple[Due, Outcome] | None) -> None:
        """Record the outcome and let go of the key, in one transaction."""

        def record(connection: Connection) -> bool:
            finished = False
            if result is None:
                work.again(connection, held.lease.key, None, _BROKEN_OFF_PAUSE, "the last try broke off")
            elif isinstance(result[1], Done):
                finished = work.done(connection, result[0].key, result[0].version)
            else:
                work.again(connection, result[0].key, result[0].version, result[1].after, result[1].reason)
            leases.release(connection, held.lease)
            return finished

        if not self._database.transaction(record):
            # More is to be done, perhaps at once: the dispatcher looks again instead of sleeping on.
            self._wake.hint(held.lease.key)

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_SECONDS / 3):
            with self._lock:
                running = list(self._running.values())
            for held in running:
                try:
                    kept = self._database.transaction(partial(leases.renew, held=held.lease, seconds=LEASE_SECONDS))
                except SQLAlchemyError:
                    continue
                if not kept:
                    held.lose()
