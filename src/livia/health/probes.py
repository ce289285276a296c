"""The second path: agents are asked directly about amphorae that send no heartbeats."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver, DriverError, Unreachable
from livia.core.model.amphora import Amphora
from livia.core.plan.failover import Answer, Probe
from livia.store import amphorae
from livia.store.engine import Database

log = structlog.get_logger()

#: questions in a row that an agent leaves unanswered before it is not asked about its other amphorae: one may hang
_ENOUGH = 2
#: of the shelf life: before an amphora that was not answered for is asked about again
_PAUSE = 0.25


class _Question(Struct, frozen=True):
    """`worked`: when our network had last worked when this was asked."""

    worked: float
    asked: float


class Probes:
    """Asks `threads` agents at a time, off the caller's thread; the amphorae of one agent one after the other.

    An agent that does not answer is not asked about all its amphorae: a lost host costs two timeouts. What was answered
    is believed for `shelf_life` seconds; that nobody answers, when it was so twice in a row with a pause between: a
    host that is busy, or a path that was just cut, is not dead. `heard`: when anybody was last heard.
    """

    def __init__(
        self,
        database: Database,
        compute: ComputeDriver,
        agents: AmphoraDriver,
        clock: Clock,
        *,
        threads: int,
        shelf_life: float,
        heard: Callable[[], float],
    ) -> None:
        self._database = database
        self._compute = compute
        self._agents = agents
        self._clock = clock
        self._shelf_life = shelf_life
        self._heard = heard
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="probe")
        self._answers: dict[str, Probe] = {}
        #: when those who do not answer first did not, since they last did
        self._unanswered: dict[str, float] = {}
        self._asked: dict[str, Future[None]] = {}
        #: when something was last asked that an agent answered: our network worked then, whenever the answer was read
        self._answered = float("-inf")

    def evidence(self) -> float:
        """When our network last worked, as somebody's heartbeat or an answered question shows."""
        return max(self._heard(), self._answered)

    def ask(self, amphora_ids: Iterable[str], patience: float) -> None:
        """Have these asked whose answers are missing or old, unless that is under way. Waits `patience` seconds at
        most for answers: the rest is there at the next look."""
        self._asked = {key: call for key, call in self._asked.items() if not call.done()}
        missing = [key for key in amphora_ids if key not in self._asked and self._is_due(key)]
        for group in self._by_agent(missing):
            call = self._pool.submit(self._ask_agent, group)
            self._asked |= dict.fromkeys((each.id for each in group), call)
        wait(set(self._asked.values()), timeout=patience)

    def _is_due(self, amphora_id: str) -> bool:
        pause = self._clock.monotonic() - self._unanswered.get(amphora_id, float("-inf"))
        return self.answer(amphora_id) is None and pause >= self._shelf_life * _PAUSE

    def answer(self, amphora_id: str) -> Probe | None:
        """What the second path says of an amphora; None: nothing, or nothing fresh."""
        found = self._answers.get(amphora_id)
        if found is None or self._clock.monotonic() - found.asked > self._shelf_life:
            return None
        return found

    def keep_only(self, amphora_ids: frozenset[str]) -> None:
        """The others report again, or are gone."""
        for known in (self._answers, self._unanswered):
            for each in known.keys() - amphora_ids:
                known.pop(each, None)

    def close(self) -> None:
        """Ask no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _by_agent(self, amphora_ids: Sequence[str]) -> Iterable[list[Amphora]]:
        if not amphora_ids:
            return ()
        with self._database.read() as connection:
            rows = amphorae.several(connection, amphora_ids)
        groups: dict[tuple[object, ...], list[Amphora]] = defaultdict(list)
        for each in rows:
            groups[(each.compute_id, each.lb_network_ip, each.agent_port)].append(each)
        return groups.values()

    def _ask_agent(self, group: list[Amphora]) -> None:
        """Ask one agent about its amphorae, until it fails to answer twice in a row."""
        failed = 0
        try:
            for number, amphora in enumerate(group):
                question = _Question(worked=self.evidence(), asked=self._clock.monotonic())
                try:
                    self._note(amphora, self._probe(amphora, question))
                    failed = 0
                except Unreachable as error:
                    failed += 1
                    lost = self._told(Answer.UNREACHABLE, question, f"its agent does not answer ({error.message})")
                    for each in group[number:] if failed == _ENOUGH else [amphora]:
                        self._note(each, lost)
                    if failed == _ENOUGH:
                        return
        except SQLAlchemyError as error:
            # No answer: it is asked again at the next look.
            log.warning("an agent cannot be looked up", error=str(error))
        except Exception:
            # The outermost loop of the thread.
            log.exception("probe failed")

    def _note(self, amphora: Amphora, probe: Probe) -> None:
        if probe.answer is not Answer.UNREACHABLE:
            self._unanswered.pop(amphora.id, None)
        elif amphora.id not in self._unanswered:
            self._unanswered[amphora.id] = probe.ended
            return
        self._answers[amphora.id] = probe

    def _probe(self, amphora: Amphora, question: "_Question") -> Probe:
        placement = self._compute.find(amphora)
        if placement is None:
            return self._told(Answer.DEAD, question, "its host is not registered")
        try:
            observed = self._agents.observe(placement, amphora.id)
        except Unreachable:
            raise
        except DriverError as error:
            # A refusal is no news of the amphora: neither that it forwards, nor that it is dead.
            reason = f"its agent cannot tell ({error.message})"
            return self._told(Answer.UNREACHABLE, question, reason)
        self._answered = max(self._answered, question.asked)
        if observed is None:
            return self._told(Answer.DEAD, question, "its agent does not know it")
        if not observed.forwarding:
            return self._told(Answer.DEAD, question, "its agent says that it does not forward")
        return self._told(Answer.FORWARDS, question, "its agent says that it forwards")

    def _told(self, answer: Answer, question: "_Question", reason: str) -> Probe:
        ended = self._clock.monotonic()
        return Probe(answer=answer, worked=question.worked, asked=question.asked, ended=ended, reason=reason)
