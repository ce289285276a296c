"""`reconcile(key)`: look at one load balancer, decide, do, until nothing is missing (design, section 6).

Returns `Done`, `Again(after, reason)` or `Failed(reason)`; it never sleeps for a far side to get ready, but for
the few hundredths of a second between two looks at a VRRP election.
"""

import time
from concurrent.futures import Executor
from typing import Protocol, TypeAlias

import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.drivers import DriverError, Unreachable
from livia.core.model.event import Event, Severity
from livia.core.model.status import Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Kind, Settled, Wait, decide, election_pause
from livia.core.spec import CONTRACT_TLS, STICK_SIZE, TlsDefaults
from livia.store import amphorae, confirmation, events, trees
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.worker.attempt import FINAL_REFUSALS, STALE_FENCE, Attempt, Step, no_step
from livia.worker.metrics import Metrics
from livia.worker.runner import Drivers, Runner

log = structlog.get_logger()

#: more steps than the longest plan has; reaching it means that two facts contradict each other
_STEP_LIMIT = 500
_BACKOFF_FIRST = 0.2
_BACKOFF_MOST = 30.0


class Done(Struct, frozen=True, kw_only=True):
    """The load balancer is as wanted."""

    reason: str


class Again(Struct, frozen=True, kw_only=True):
    """Look again in `after` seconds. `settled`: all that was asked for is confirmed, only rests remain."""

    after: float
    reason: str
    settled: bool = False


class Failed(Struct, frozen=True, kw_only=True):
    """It cannot be made so now: it shows ERROR. Another try comes in `after` seconds."""

    after: float
    reason: str


Outcome: TypeAlias = Done | Again | Failed


class Held(Protocol):
    """A lease in use: asked before each action whether it is still ours."""

    @property
    def lease(self) -> Lease: ...

    def valid(self) -> bool: ...

    def at(self, doing: str) -> None:
        """What is done next, for whoever asks why it takes so long."""

    def confirm(self) -> None:
        """What was asked for is confirmed; what comes later is new."""


class Reconciler:
    """Reconciles load balancers. `deadline`: seconds after which an unfinished change shows ERROR."""

    def __init__(
        self,
        database: Database,
        drivers: Drivers,
        clock: Clock,
        pool: Executor,
        *,
        advert_interval: float = 0.1,
        stick_size: str = STICK_SIZE,
        deadline: float = 300.0,
        tls: TlsDefaults = CONTRACT_TLS,
        before: Step = no_step,
        metrics: Metrics | None = None,
    ) -> None:
        self._database = database
        self._drivers = drivers
        self._clock = clock
        self._pool = pool
        self._advert_interval = advert_interval
        self._stick_size = stick_size
        self._deadline = deadline
        self._tls = tls
        self._before = before
        self._metrics = metrics or Metrics(CollectorRegistry())

    def reconcile(self, held: Held, *, attempts: int, age: float, request_id: str | None = None) -> Outcome:
        """Bring the load balancer of the lease's key to what its rows say.

        `request_id`: the request that this follows from, for the events.
        """
        key = held.lease.key
        started = self._clock.monotonic()
        runner = Runner(
            self._database,
            self._drivers,
            self._clock,
            advert_interval=self._advert_interval,
            stick_size=self._stick_size,
            tls=self._tls,
            fence=held.lease.fence,
            request_id=request_id,
        )
        attempt = Attempt(runner, self._pool, self._clock, self._metrics, self._before)
        tree: LoadBalancerTree | None = None
        for step in range(_STEP_LIMIT):
            if not held.valid():
                return Again(after=0.0, reason="another worker took over")
            tree = self._look(key, tree)
            if tree is None:
                return self._remove_orphan(runner, key, attempts)
            if step == _STEP_LIMIT - 1:
                return self._failed(tree, f"no end was found in {_STEP_LIMIT} steps", _BACKOFF_MOST, request_id)
            elapsed = self._clock.monotonic() - started
            decision = decide(tree, attempt.known(elapsed))
            if isinstance(decision, Settled):
                return Done(reason=decision.reason)
            if isinstance(decision, Wait):
                return self._wait(tree, decision, attempt, attempts, age + elapsed, request_id)
            log.debug("step", load_balancer=key, reason=decision.reason)
            held.at(decision.reason)
            pause = election_pause(decision)
            if pause > 0:
                # Not for 0 s: that lets others run first, who on a busy machine take their time.
                time.sleep(pause)
            problem = attempt.perform(decision, tree)
            if problem is not None:
                return self._after_problem(tree, problem, attempts, age + elapsed, request_id)
            if decision.actions[0].kind is Kind.CONFIRM:
                held.confirm()
                # A change that comes while others are confirmed is not as old as they were.
                age = started - self._clock.monotonic()
        raise AssertionError("the last step returns")

    def give_up(self, key: str, reason: str, request_id: str | None) -> None:
        """A reconcile of `key` hangs: what is pending shows ERROR."""
        tree = self._look(key, None)
        if tree is not None:
            self._failed(tree, reason, _BACKOFF_MOST, request_id)

    def _look(self, key: str, known: LoadBalancerTree | None) -> LoadBalancerTree | None:
        with self._database.read() as connection:
            return trees.load(connection, key) if known is None else trees.look_again(connection, known)

    def _wait(
        self,
        tree: LoadBalancerTree,
        decision: Wait,
        attempt: Attempt,
        attempts: int,
        age: float,
        request_id: str | None,
    ) -> Outcome:
        """Nothing can be done now. What hinders the plan says more than the plan does."""
        if attempt.hindrance is None:
            return self._late(tree, decision.after, decision.reason, age, request_id, settled=decision.settled)
        # Nobody asked for what could not be begun: e.g. no host takes what a drained one has.
        settled = decision.settled or tree.load_balancer.provisioning_status is Provisioning.ACTIVE
        return self._after_problem(tree, attempt.hindrance, attempts, age, request_id, settled=settled)

    def _remove_orphan(self, runner: Runner, key: str, attempts: int) -> Outcome:
        """Not a load balancer, or not any more: perhaps an amphora without one, that somebody wants deleted."""
        with self._database.read() as connection:
            orphan = amphorae.one(connection, key)
        if orphan is None or orphan.load_balancer_id is not None:
            return Done(reason="it does not exist any more")
        try:
            runner.remove_orphan(orphan)
        except DriverError as error:
            runner.not_removed(key, error)
            return Failed(after=_backoff(attempts), reason=error.message)
        return Done(reason="the amphora is gone")

    def _after_problem(
        self,
        tree: LoadBalancerTree,
        problem: DriverError,
        attempts: int,
        age: float,
        request_id: str | None,
        *,
        settled: bool = False,
    ) -> Outcome:
        after = _backoff(attempts)
        if problem.code == STALE_FENCE:
            return Again(after=0.0, reason="a newer lease is known to the agent")
        if problem.code in FINAL_REFUSALS:
            return self._failed(tree, problem.message, _BACKOFF_MOST, request_id)
        if not isinstance(problem, Unreachable):
            self._database.transaction(
                lambda connection: self._tell(connection, tree, problem.code, problem.message, request_id)
            )
        return self._late(tree, after, problem.message, age, request_id, settled=settled)

    def _late(
        self,
        tree: LoadBalancerTree,
        after: float,
        reason: str,
        age: float,
        request_id: str | None,
        *,
        settled: bool = False,
    ) -> Outcome:
        if age < self._deadline or settled:
            return Again(after=after, reason=reason, settled=settled)
        reason = f"not done within {self._deadline:.0f} s: {reason}"
        return self._failed(tree, reason, max(after, _BACKOFF_MOST), request_id)

    def _failed(self, tree: LoadBalancerTree, reason: str, after: float, request_id: str | None) -> Failed:
        def fail(connection: Connection) -> None:
            confirmation.fail(connection, tree.load_balancer.id, self._clock.now())
            # Together: who sees ERROR asks why, and must find it.
            self._tell(connection, tree, "load_balancer.error", reason, request_id, Severity.ERROR)

        self._database.transaction(fail)
        return Failed(after=after, reason=reason)

    def _tell(
        self,
        connection: Connection,
        tree: LoadBalancerTree,
        code: str,
        message: str,
        request_id: str | None,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Add an event, unless the last one said the same."""
        key = tree.load_balancer.id
        last = events.of_load_balancer(connection, key, limit=1)
        if last and last[-1][0].message == message:
            return
        entry = Event(
            load_balancer_id=key,
            object_type="load_balancer",
            object_id=key,
            severity=severity,
            code=code,
            message=message,
            request_id=request_id,
        )
        events.add(connection, entry, self._clock.now())


def _backoff(attempts: int) -> float:
    """Seconds before another try."""
    return min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0 ** min(attempts, 10))
