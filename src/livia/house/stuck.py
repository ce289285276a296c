"""The net under every other: what is PENDING with nobody at it is asked for again."""

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.model.event import Event, Severity
from livia.core.wake import Wake
from livia.house.runner import Outcome, Turn
from livia.services.context import new_request_id
from livia.store import events, stuck, work
from livia.store.engine import Database
from livia.store.stuck import Stuck

log = structlog.get_logger()

#: load balancers whose parts are looked at in one run. That one of them is PENDING while they are not is what no known
#: fault leaves: a large installation is gone through in several runs rather than its tables be read in each
_MANY = 1000


class Unattended:
    """A Job."""

    name = "unattended"

    def __init__(
        self, database: Database, clock: Clock, wake: Wake, registry: CollectorRegistry, *, interval: float
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._wake = wake
        self._after = ""
        self._requested = Counter(
            "livia_unattended_requested_total",
            "Objects that were PENDING with no work, and were asked for again.",
            registry=registry,
        )

    def run(self, turn: Turn) -> Outcome:
        """Ask again for whatever nobody is at."""
        with self._database.read() as connection:
            found = [*stuck.load_balancers(connection), *self._parts(connection), *stuck.amphorae(connection)]
        done = 0
        for each in found:
            turn.step()
            done += self._request(each)
        return Outcome(done=done, reason=f"{done} objects were asked for again" if done else "nothing is unattended")

    def _parts(self, connection: Connection) -> list[Stuck]:
        """Parts of the load balancers that come after those of the run before."""
        after, last = self._after, stuck.end_of(connection, self._after, _MANY)
        self._after = last or ""
        return [] if last is None else stuck.children(connection, after, last)

    def _request(self, each: Stuck) -> bool:
        what = f"The {each.what.replace('_', ' ')}" if each.what else "It"
        sentence = f"{what} was {each.status} and nobody had work for it: it was asked for again."
        request_id = new_request_id()

        def ask(connection: Connection) -> bool:
            if work.one(connection, each.key) is not None:
                return False
            of_amphora = each.what == "amphora"
            if each.what and not of_amphora and not stuck.reopen(connection, each.key):
                return False
            work.request(
                connection,
                each.key,
                project_id=each.project_id,
                priority=work.Priority.PERIODIC,
                reason=sentence,
                request_id=request_id,
            )
            if not of_amphora:
                events.add(connection, _event(each, sentence, request_id), self._clock.now())
            return True

        if not self._database.transaction(ask):
            return False
        log.error("nobody was at it", key=each.key, reason=sentence, request_id=request_id)
        self._requested.inc()
        self._wake.hint(each.key)
        return True


def _event(each: Stuck, sentence: str, request_id: str) -> Event:
    return Event(
        load_balancer_id=each.key,
        object_type="load_balancer",
        object_id=each.key,
        severity=Severity.ERROR,
        code="load_balancer.unattended",
        message=sentence,
        request_id=request_id,
    )
