"""Amphorae that run something else than they confirmed, or nothing, are sent what they shall run.

Heartbeats show the same, and sooner (`livia.health.drift`); this finds what they do not tell: of an amphora that its
agent has lost, or whose heartbeats do not arrive. It is a slow trickle, whose cost a minute is bounded.
"""

from bisect import bisect_right

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver, DriverError
from livia.core.model.event import Event, Severity
from livia.core.report import Applied
from livia.core.wake import Wake
from livia.house.runner import Outcome, Turn
from livia.services.context import new_request_id
from livia.store import amphorae, events, watched, work
from livia.store.engine import Database
from livia.store.watched import Watched

log = structlog.get_logger()

#: of all that are looked at in a turn, so many are repaired: a mistake of ours must not touch a whole fleet at once
MOST_REPAIRS = 10


class Drift:
    """A Job. `most`: amphorae that are looked at in one turn, after those of the last one."""

    name = "drift"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        compute: ComputeDriver,
        agents: AmphoraDriver,
        wake: Wake,
        registry: CollectorRegistry,
        *,
        interval: float,
        most: int,
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._compute = compute
        self._agents = agents
        self._wake = wake
        self._most = most
        self._last = ""
        self._looked = Counter("livia_drift_looks_total", "Amphorae compared with their rows.", registry=registry)
        self._repaired = Counter("livia_drift_repairs_total", "Of these sent their spec again.", registry=registry)

    def run(self, turn: Turn) -> Outcome:
        """Compare the next ones with what they confirmed."""
        with self._database.read() as connection:
            every = sorted(watched.every(connection).values(), key=lambda each: each.id)
        begin = bisect_right(every, self._last, key=lambda each: each.id)
        repaired = looked = 0
        for each in (every[begin:] + every[:begin])[: self._most]:
            turn.step()
            self._last = each.id
            looked += 1
            if each.settled and not each.stopped and self._differs(each):
                repaired += 1
            if repaired == MOST_REPAIRS:
                break
        self._looked.inc(looked)
        return Outcome(done=repaired, reason=f"{repaired} of {looked} amphorae did not run what they confirmed")

    def _differs(self, each: Watched) -> bool:
        """Whether one differs; then work for it was asked for."""
        with self._database.read() as connection:
            amphora = amphorae.one(connection, each.id)
        placement = None if amphora is None else self._compute.find(amphora)
        if placement is None:
            return False
        try:
            applied = self._agents.observe(placement, each.id)
        except DriverError as error:
            # Whether it is dead is for the health manager to say.
            log.debug("an amphora was not compared", amphora=each.id, reason=error.message)
            return False
        difference = _difference(each, applied)
        return difference is not None and self._repair(each, f"{difference}; its configuration is sent again.")

    def _repair(self, each: Watched, sentence: str) -> bool:
        request_id = new_request_id()
        entry = Event(
            load_balancer_id=each.load_balancer_id,
            object_type="amphora",
            object_id=each.id,
            severity=Severity.WARNING,
            code="amphora.drift",
            message=sentence,
            request_id=request_id,
        )

        def mark(connection: Connection) -> bool:
            now = self._clock.now()
            # Not when anything changed since the rows were read: then the difference is of the change.
            if not watched.request_repair(connection, each, now):
                return False
            events.add(connection, entry, now)
            work.request(
                connection,
                each.load_balancer_id,
                project_id=None,
                priority=work.Priority.PERIODIC,
                reason=sentence,
                request_id=request_id,
            )
            return True

        if not self._database.transaction(mark):
            return False
        log.warning("amphora drifted", amphora=each.id, reason=sentence, request_id=request_id)
        self._repaired.inc()
        self._wake.hint(each.load_balancer_id)
        return True


def _difference(row: Watched, applied: Applied | None) -> str | None:
    if applied is None:
        return f"The agent of amphora {row.id} does not know it any more"
    if applied.generation == row.generation and (not row.digest or applied.digest == row.digest):
        return None
    return (
        f"Amphora {row.id} runs generation {applied.generation} ({applied.digest[:12]}) and had confirmed "
        f"{row.generation} ({row.digest[:12]})"
    )
