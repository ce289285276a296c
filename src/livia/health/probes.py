"""The second path: agents are asked directly about amphorae that send no heartbeats."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog
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


class Probes:
    """Asks `threads` agents at a time, off the caller's thread; the amphorae of one agent one after the other.

    An agent that does not answer is not asked about all its amphorae: a lost host costs two timeouts. What was answered
    is believed for `shelf_life` seconds.
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
    ) -> None:
        self._database = database
        self._compute = compute
        self._agents = agents
        self._clock = clock
        self._shelf_life = shelf_life
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="probe")
        self._answers: dict[str, Probe] = {}
        self._asked: dict[str, Future[None]] = {}
        #: when something was last asked that an agent answered: our network worked then, whenever the answer was read
        self.answered = float("-inf")

    def ask(self, amphora_ids: Iterable[str], patience: float) -> None:
        """Have these asked whose answers are missing or old, unless that is under way. Waits `patience` seconds at
        most for answers: the rest is there at the next look."""
        self._asked = {key: call for key, call in self._asked.items() if not call.done()}
        missing = [key for key in amphora_ids if key not in self._asked and self.answer(key) is None]
        for group in self._by_agent(missing):
            call = self._pool.submit(self._ask_agent, group)
            self._asked |= dict.fromkeys((each.id for each in group), call)
        wait(set(self._asked.values()), timeout=patience)

    def answer(self, amphora_id: str) -> Probe | None:
        """What the second path says of an amphora; None: nothing, or nothing fresh."""
        found = self._answers.get(amphora_id)
        if found is None or self._clock.monotonic() - found.asked > self._shelf_life:
            return None
        return found

    def keep_only(self, amphora_ids: frozenset[str]) -> None:
        """The others report again, or are gone."""
        for each in self._answers.keys() - amphora_ids:
            self._answers.pop(each, None)

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
                asked = self._clock.monotonic()
                try:
                    self._answers[amphora.id] = self._probe(amphora, asked)
                    failed = 0
                except Unreachable as error:
                    failed += 1
                    lost = self._told(Answer.UNREACHABLE, asked, f"its agent does not answer ({error.message})")
                    if failed == _ENOUGH:
                        self._answers |= {each.id: lost for each in group[number:]}
                        return
                    self._answers[amphora.id] = lost
        except SQLAlchemyError as error:
            # No answer: it is asked again at the next look.
            log.warning("an agent cannot be looked up", error=str(error))
        except Exception:
            # The outermost loop of the thread.
            log.exception("probe failed")

    def _probe(self, amphora: Amphora, asked: float) -> Probe:
        placement = self._compute.find(amphora)
        if placement is None:
            return self._told(Answer.DEAD, asked, "its host is not registered")
        try:
            observed = self._agents.observe(placement, amphora.id)
        except Unreachable:
            raise
        except DriverError as error:
            # A refusal is no news of the amphora: neither that it forwards, nor that it is dead.
            reason = f"its agent cannot tell ({error.message})"
            return self._told(Answer.UNREACHABLE, asked, reason)
        self.answered = max(self.answered, asked)
        if observed is None:
            return self._told(Answer.DEAD, asked, "its agent does not know it")
        if not observed.forwarding:
            return self._told(Answer.DEAD, asked, "its agent says that it does not forward")
        return self._told(Answer.FORWARDS, asked, "its agent says that it forwards")

    def _told(self, answer: Answer, asked: float, reason: str) -> Probe:
        return Probe(answer=answer, asked=asked, ended=self._clock.monotonic(), reason=reason)
