"""One reconcile's doing: batches of actions, removals that nobody waits for, and what is found out on the way."""

from concurrent.futures import Executor, Future, wait
from contextvars import copy_context
from typing import Protocol, TypeAlias

from msgspec import Struct

from livia.core.clock import Clock
from livia.core.drivers import DriverError, NoCapacity
from livia.core.model.status import Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Act, Action, Kind, Known, cause, doomed, serves
from livia.core.report import Applied
from livia.services.binding import UNUSABLE
from livia.worker.metrics import Metrics
from livia.worker.runner import Answer, Confirmed, Runner

#: what no repetition changes before the load balancer itself changes, or somebody mends what it names
FINAL_REFUSALS = frozenset({"invalid_spec", "haproxy_refused", UNUSABLE})
STALE_FENCE = "stale_fence"
#: what an agent says that cannot build what another might: its disk is full, its kernel lacks something, it is broken
_FAULTS_OF_HOSTS = frozenset({"plumbing_failed", "agent_error"})
#: seconds that a replaced amphora's removal may hold up the confirmation; what does not answer goes later
_REMOVAL_PATIENCE = 2.0

_Answer: TypeAlias = Answer | DriverError


class Step(Protocol):
    """Called before each action: crash tests stop the worker there."""

    def __call__(self, action: Action) -> None: ...


def no_step(action: Action) -> None:
    """Let every action happen."""


class Executors(Struct, frozen=True, kw_only=True):
    """Where actions run that do not run on the thread of the reconcile: those that it waits for, and removals of what
    was replaced, which nobody waits for. An agent that hangs in these must hold up no others."""

    actions: Executor
    removals: Executor


class Attempt:
    """Does what `decide` says, and knows what `decide` asks for and no row says."""

    def __init__(self, runner: Runner, executors: Executors, clock: Clock, metrics: Metrics, before: Step) -> None:
        self._runner = runner
        self._executors = executors
        self._clock = clock
        self._metrics = metrics
        self._before = before
        self._abandoned: set[str] = set()
        self._silent: set[str] = set()
        self._hindered: set[str] = set()
        self._learned: set[str] = set()
        self._learning: set[str] = set()
        self._full = False
        self._removals: dict[str, Future[_Answer]] = {}
        #: why not all could be built; the plan went on without it
        self.hindrance: DriverError | None = None
        #: the newest generation was confirmed: the load balancer was ACTIVE with it then
        self.active = False

    def known(self, age: float) -> Known:
        """What was found out in `age` seconds."""
        return Known(
            abandoned=frozenset(self._abandoned),
            silent=frozenset(self._silent),
            hindered=frozenset(self._hindered),
            full=self._full,
            learned=frozenset(self._learned),
            learning=frozenset(self._learning),
            age=age,
        )

    def perform(self, decision: Act, tree: LoadBalancerTree) -> DriverError | None:
        """Do one batch. The first problem that stops the plan; a failed removal does not, and nothing waits for one
        while there is something else to do."""
        others = [each for each in decision.actions if each.kind is not Kind.REMOVE_AMPHORA]
        for action in decision.actions:
            if action.kind is Kind.REMOVE_AMPHORA and action.amphora_id not in self._removals:
                self._removals[str(action.amphora_id)] = self._submit(action, tree)
        calls = [(action, self._submit(action, tree)) for action in others[1:]]
        answers = [(action, self._here(action, tree)) for action in others[:1]]
        answers += [(action, call.result()) for action, call in calls]
        if not others:
            self._await_removals(tree)
        self._collect_removals()
        problems = [each for action, answer in answers if (each := self._problem(action, answer, tree)) is not None]
        return problems[0] if problems else None

    def _here(self, action: Action, tree: LoadBalancerTree) -> _Answer:
        self._before(action)
        return self._one(action, tree)

    def _submit(self, action: Action, tree: LoadBalancerTree) -> Future[_Answer]:
        self._before(action)
        aside = action.kind is Kind.REMOVE_AMPHORA and not _deleting(tree)
        executor = self._executors.removals if aside else self._executors.actions
        # What is bound to the log of this thread goes along.
        return executor.submit(copy_context().run, self._one, action, tree)

    def _one(self, action: Action, tree: LoadBalancerTree) -> _Answer:
        started, outcome = self._clock.monotonic(), "failed"
        try:
            answer = self._runner.run(action, tree)
            outcome = "done"
        except DriverError as error:
            return error
        finally:
            self._metrics.actions.labels(str(action.kind), outcome).observe(self._clock.monotonic() - started)
        if action.kind is Kind.ADD_AMPHORAE and tree.load_balancer.confirmed_generation > 0:
            for role in action.roles:
                self._metrics.replacements.labels(cause(tree, role)[0]).inc()
        return answer

    def _await_removals(self, tree: LoadBalancerTree) -> None:
        """Wait for them; one that takes longer goes on by itself, and what it leaves is found later."""
        _done, late = wait(self._removals.values(), None if _deleting(tree) else _REMOVAL_PATIENCE)
        self._abandoned |= {each for each, removal in self._removals.items() if removal in late}
        self.call_off()

    def call_off(self) -> None:
        """Removals that have not begun do not begin any more: a later look submits them again, and they must not pile
        up behind an agent that hangs."""
        self._removals = {each: removal for each, removal in self._removals.items() if not removal.cancel()}

    def _collect_removals(self) -> None:
        for amphora_id, removal in list(self._removals.items()):
            if removal.done():
                del self._removals[amphora_id]
                answer = removal.result()
                if isinstance(answer, DriverError):
                    self._runner.not_removed(amphora_id, answer)
                    self._abandoned.add(amphora_id)

    def _problem(self, action: Action, answer: _Answer, tree: LoadBalancerTree) -> DriverError | None:
        """What stops the plan. An amphora that does not serve yet does not: what serves is kept up to date without
        it, and it is tried again later."""
        if isinstance(answer, Applied):
            (self._learned if answer.learned else self._learning).add(answer.amphora_id)
        if isinstance(answer, Confirmed):
            self.active = answer.active
        if not isinstance(answer, DriverError):
            return None
        if any(each.id == action.amphora_id and serves(each) for each in doomed(tree)):
            # It is replaced, perhaps because it does not answer.
            self._silent.add(str(action.amphora_id))
            return None
        if action.kind is Kind.ADD_AMPHORAE and isinstance(answer, NoCapacity):
            self._full = True
        elif not self._hinders(action, answer, tree):
            return answer
        self.hindrance = self.hindrance or answer
        return None

    def _hinders(self, action: Action, answer: DriverError, tree: LoadBalancerTree) -> bool:
        if action.kind not in (Kind.PLACE, Kind.APPLY) or answer.code in {STALE_FENCE, *FINAL_REFUSALS}:
            return False
        amphora = next(each for each in tree.amphorae if each.id == action.amphora_id)
        if serves(amphora):
            return False
        refused = answer.code in _FAULTS_OF_HOSTS
        elsewhere = self._runner.give_up_lost(amphora, tree) or (
            refused and self._runner.give_up_refused(amphora, tree, answer.message)
        )
        if not elsewhere:
            self._hindered.add(amphora.id)
        return True


def _deleting(tree: LoadBalancerTree) -> bool:
    return tree.load_balancer.provisioning_status is Provisioning.PENDING_DELETE
