"""`reconcile(key)`: look at one load balancer, decide, do, until nothing is missing (design, section 6).

Returns `Done`, `Again(after, reason)` or `Failed(reason)`; it never sleeps for a far side to get ready, but for
the few hundredths of a second between two looks at a VRRP election.
"""

import time
from typing import Protocol

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from livia.core.clock import Clock
from livia.core.drivers import DriverError
from livia.core.model.status import Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Act, Kind, Settled, Wait, decide, election_pause
from livia.core.spec import CONTRACT_TLS, STICK_SIZE, TlsDefaults
from livia.store import amphorae, trees
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.worker.attempt import Attempt, Executors, Step, no_step
from livia.worker.metrics import Metrics
from livia.worker.outcome import Again, Done, Failed, Outcome
from livia.worker.runner import Drivers, Runner
from livia.worker.verdicts import Verdicts

log = structlog.get_logger()

#: more steps than the longest plan has; reaching it means that two facts contradict each other
_STEP_LIMIT = 500


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
        executors: Executors,
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
        self._executors = executors
        self._advert_interval = advert_interval
        self._stick_size = stick_size
        self._deadline = deadline
        self._tls = tls
        self._before = before
        self._metrics = metrics or Metrics(CollectorRegistry())

    def reconcile(self, held: Held, *, attempts: int, spent: float, request_id: str | None = None) -> Outcome:
        """Bring the load balancer of the lease's key to what its rows say.

        `attempts`: how often the same was tried before; `spent`: seconds that this took so far, with the pauses;
        `request_id`: the request that this follows from, for the events.
        """
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
        attempt = Attempt(runner, self._executors, self._clock, self._metrics, self._before)
        verdicts = self._verdicts(attempts, request_id)
        try:
            return _Course(self._database, self._clock, held, runner, attempt, verdicts, spent).run()
        finally:
            attempt.call_off()

    def give_up(self, key: str, reason: str, request_id: str | None) -> None:
        """A reconcile of `key` hangs: what is pending shows ERROR."""
        with self._database.read() as connection:
            tree = trees.load(connection, key)
        if tree is not None:
            self._verdicts(0, request_id).failed(tree, reason)

    def fail_first(self, key: str, reason: str, request_id: str | None) -> None:
        """Workers end at `key`, past its deadline: what is pending shows ERROR before another one tries."""
        with self._database.read() as connection:
            tree = trees.load(connection, key)
        if tree is not None:
            self._verdicts(0, request_id).failed_already(tree, reason)

    def _verdicts(self, attempts: int, request_id: str | None) -> Verdicts:
        return Verdicts(self._database, self._clock, deadline=self._deadline, attempts=attempts, request_id=request_id)


class _Course:
    """One reconcile, from the first look to its outcome. `spent`: seconds that what it is about took before."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        held: Held,
        runner: Runner,
        attempt: Attempt,
        verdicts: Verdicts,
        spent: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self._held = held
        self._runner = runner
        self._attempt = attempt
        self._verdicts = verdicts
        self._begun = clock.monotonic()
        self._spent_from = self._begun - spent
        self._steps = 0

    def run(self) -> Outcome:
        """Step by step, each after another look, as long as the lease is ours."""
        tree: LoadBalancerTree | None = None
        while self._held.valid():
            tree = self._look(tree)
            if tree is None:
                return self._remove_orphan()
            outcome = self._step(tree)
            if outcome is not None:
                return outcome
        return Again(after=0.0, reason="another worker took over")

    def _look(self, known: LoadBalancerTree | None) -> LoadBalancerTree | None:
        if known is not None and self._attempt.active:
            # What changed since the last look was asked for: the row of work tells, and stays.
            self._attempt.active = False
            return _as_confirmed(known)
        with self._database.read() as connection:
            return (
                trees.load(connection, self._held.lease.key) if known is None else trees.look_again(connection, known)
            )

    def _step(self, tree: LoadBalancerTree) -> Outcome | None:
        """Decide and do; None: there may be more to do."""
        self._steps += 1
        if self._steps == _STEP_LIMIT:
            return self._verdicts.failed(tree, f"no end was found in {_STEP_LIMIT} steps")
        now = self._clock.monotonic()
        decision = decide(tree, self._attempt.known(now - self._begun))
        if isinstance(decision, Settled):
            return Done(reason=decision.reason)
        spent = now - self._spent_from
        if isinstance(decision, Wait):
            return self._wait(tree, decision, spent)
        return self._act(tree, decision, spent)

    def _wait(self, tree: LoadBalancerTree, decision: Wait, spent: float) -> Outcome:
        """Nothing can be done now. What hinders the plan says more than the plan does."""
        hindrance = self._attempt.hindrance
        if hindrance is None:
            # An agent that did not answer once may do so now: what remains is tried again soon, then ever less often.
            after = min(decision.after, self._verdicts.pause) if decision.settled else decision.after
            return self._verdicts.not_yet(tree, after, decision.reason, spent, settled=decision.settled)
        # Nobody asked for what could not be begun: e.g. no host takes what a drained one has.
        settled = decision.settled or tree.load_balancer.provisioning_status is Provisioning.ACTIVE
        return self._verdicts.after_problem(tree, hindrance, spent, settled=settled)

    def _act(self, tree: LoadBalancerTree, decision: Act, spent: float) -> Outcome | None:
        log.debug("step", load_balancer=self._held.lease.key, reason=decision.reason)
        self._held.at(decision.reason)
        pause = election_pause(decision)
        if pause > 0:
            # Not for 0 s: that lets others run first, who on a busy machine take their time.
            time.sleep(pause)
        problem = self._attempt.perform(decision, tree)
        if problem is not None:
            return self._verdicts.after_problem(tree, problem, spent)
        if decision.actions[0].kind is Kind.CONFIRM:
            self._held.confirm()
            self._verdicts.begin_anew()
            # Nothing was spent yet on a change that comes while others are confirmed.
            self._spent_from = self._clock.monotonic()
        return None

    def _remove_orphan(self) -> Outcome:
        """Not a load balancer, or not any more: perhaps an amphora without one, that somebody wants deleted."""
        key = self._held.lease.key
        with self._database.read() as connection:
            orphan = amphorae.one(connection, key)
        if orphan is None or orphan.load_balancer_id is not None:
            return Done(reason="it does not exist any more")
        try:
            self._runner.remove_orphan(orphan)
        except DriverError as error:
            self._runner.not_removed(key, error)
            return Failed(after=self._verdicts.pause, reason=error.message)
        return Done(reason="the amphora is gone")


def _as_confirmed(tree: LoadBalancerTree) -> LoadBalancerTree:
    """The tree once its generation is confirmed, as far as a plan looks at it."""
    load_balancer = tree.load_balancer
    confirmed = replace(
        load_balancer, provisioning_status=Provisioning.ACTIVE, confirmed_generation=load_balancer.generation
    )
    return replace(tree, load_balancer=confirmed)
