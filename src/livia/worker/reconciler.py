"""`reconcile(key)`: look at one load balancer, decide, do, until nothing is missing (design, section 6).

Returns `Done`, `Again(after, reason)` or `Failed(reason)`; it never sleeps for a far side to get ready, but for
the few hundredths of a second between two looks at a VRRP election.
"""

import time
from concurrent.futures import Executor
from typing import Protocol, TypeAlias

import structlog
from msgspec import Struct

from livia.core.clock import Clock
from livia.core.drivers import DriverError, Unreachable
from livia.core.model.event import Event, Severity
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Act, Action, Kind, Settled, Wait, decide, election_pause
from livia.core.spec import CONTRACT_TLS, TlsDefaults
from livia.services.binding import UNUSABLE
from livia.store import amphorae, confirmation, events, trees
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.worker.runner import Drivers, Runner

log = structlog.get_logger()

#: more steps than the longest plan has; reaching it means that two facts contradict each other
_STEP_LIMIT = 500
_BACKOFF_FIRST = 0.2
_BACKOFF_MOST = 30.0
#: what no repetition changes before the load balancer itself changes, or somebody mends what it names
_FINAL_REFUSALS = frozenset({"invalid_spec", "haproxy_refused", UNUSABLE})


class Done(Struct, frozen=True, kw_only=True):
    """The load balancer is as wanted."""

    reason: str


class Again(Struct, frozen=True, kw_only=True):
    """Look again in `after` seconds."""

    after: float
    reason: str


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


class Step(Protocol):
    """Called before each action: crash tests stop the worker there."""

    def __call__(self, action: Action) -> None: ...


def no_step(action: Action) -> None:
    """Let every action happen."""


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
        deadline: float = 300.0,
        tls: TlsDefaults = CONTRACT_TLS,
        before: Step = no_step,
    ) -> None:
        self._database = database
        self._drivers = drivers
        self._clock = clock
        self._pool = pool
        self._advert_interval = advert_interval
        self._deadline = deadline
        self._tls = tls
        self._before = before

    def reconcile(self, held: Held, *, attempts: int, age: float) -> Outcome:
        """Bring the load balancer of the lease's key to what its rows say."""
        key = held.lease.key
        started = self._clock.monotonic()
        abandoned: set[str] = set()
        runner = Runner(
            self._database,
            self._drivers,
            self._clock,
            advert_interval=self._advert_interval,
            tls=self._tls,
            fence=held.lease.fence,
        )
        tree: LoadBalancerTree | None = None
        for step in range(_STEP_LIMIT):
            if not held.valid():
                return Again(after=0.0, reason="another worker took over")
            tree = self._look(key, tree)
            if tree is None:
                return self._remove_orphan(runner, key, attempts)
            if step == _STEP_LIMIT - 1:
                return self._failed(tree, f"no end was found in {_STEP_LIMIT} steps", _BACKOFF_MOST)
            elapsed = self._clock.monotonic() - started
            decision = decide(tree, abandoned=frozenset(abandoned), age=elapsed)
            if isinstance(decision, Settled):
                return Done(reason=decision.reason)
            if isinstance(decision, Wait):
                return self._late(tree, decision.after, decision.reason, age + elapsed, settled=decision.settled)
            log.debug("step", load_balancer=key, reason=decision.reason)
            time.sleep(election_pause(decision))
            problem = self._perform(runner, decision, tree, abandoned)
            if problem is not None:
                return self._after_problem(tree, problem, attempts, age + elapsed)
        raise AssertionError("the last step returns")

    def _look(self, key: str, known: LoadBalancerTree | None) -> LoadBalancerTree | None:
        with self._database.read() as connection:
            return trees.load(connection, key) if known is None else trees.look_again(connection, known)

    def _perform(
        self, runner: Runner, decision: Act, tree: LoadBalancerTree, abandoned: set[str]
    ) -> DriverError | None:
        """Do one batch. The first problem that stops the plan; a failed removal does not."""
        calls = [(action, self._pool.submit(self._one, runner, action, tree)) for action in decision.actions[1:]]
        outcomes = [(decision.actions[0], self._one(runner, decision.actions[0], tree))]
        outcomes += [(action, call.result()) for action, call in calls]
        problem: DriverError | None = None
        for action, error in outcomes:
            if error is None:
                continue
            if action.kind is Kind.REMOVE_AMPHORA and action.amphora_id is not None:
                self._not_removed(action.amphora_id, error)
                abandoned.add(action.amphora_id)
            else:
                problem = problem or error
        return problem

    def _remove_orphan(self, runner: Runner, key: str, attempts: int) -> Outcome:
        """Not a load balancer, or not any more: perhaps an amphora without one, that somebody wants deleted."""
        with self._database.read() as connection:
            orphan = amphorae.one(connection, key)
        if orphan is None or orphan.load_balancer_id is not None:
            return Done(reason="it does not exist any more")
        try:
            runner.remove(orphan)
        except DriverError as error:
            self._not_removed(key, error)
            return Failed(after=_backoff(attempts), reason=error.message)
        return Done(reason="the amphora is gone")

    def _not_removed(self, amphora_id: str, error: DriverError) -> None:
        log.warning("amphora not removed", amphora=amphora_id, reason=error.message)
        now = self._clock.now()
        self._database.transaction(lambda connection: amphorae.removal_failed(connection, amphora_id, now))

    def _one(self, runner: Runner, action: Action, tree: LoadBalancerTree) -> DriverError | None:
        self._before(action)
        try:
            runner.run(action, tree)
        except DriverError as error:
            return error
        return None

    def _after_problem(self, tree: LoadBalancerTree, problem: DriverError, attempts: int, age: float) -> Outcome:
        after = _backoff(attempts)
        if problem.code == "stale_fence":
            return Again(after=0.0, reason="a newer lease is known to the agent")
        if problem.code in _FINAL_REFUSALS:
            return self._failed(tree, problem.message, _BACKOFF_MOST)
        if not isinstance(problem, Unreachable):
            self._tell(tree, problem.code, problem.message)
        return self._late(tree, after, problem.message, age)

    def _late(self, tree: LoadBalancerTree, after: float, reason: str, age: float, *, settled: bool = False) -> Outcome:
        if age < self._deadline or settled:
            return Again(after=after, reason=reason)
        return self._failed(tree, f"not done within {self._deadline:.0f} s: {reason}", max(after, _BACKOFF_MOST))

    def _failed(self, tree: LoadBalancerTree, reason: str, after: float) -> Failed:
        self._database.transaction(
            lambda connection: confirmation.fail(connection, tree.load_balancer.id, self._clock.now())
        )
        self._tell(tree, "load_balancer.error", reason, Severity.ERROR)
        return Failed(after=after, reason=reason)

    def _tell(self, tree: LoadBalancerTree, code: str, message: str, severity: Severity = Severity.WARNING) -> None:
        """Add an event, unless the last one said the same."""
        entry = Event(
            load_balancer_id=tree.load_balancer.id,
            object_type="load_balancer",
            object_id=tree.load_balancer.id,
            severity=severity,
            code=code,
            message=message,
        )

        with self._database.read() as connection:
            last = events.of_load_balancer(connection, entry.load_balancer_id, limit=1)
        if not last or last[-1][0].message != message:
            self._database.transaction(lambda connection: events.add(connection, entry, self._clock.now()))


def _backoff(attempts: int) -> float:
    """Seconds before another try."""
    return min(_BACKOFF_MOST, _BACKOFF_FIRST * 2.0 ** min(attempts, 10))
