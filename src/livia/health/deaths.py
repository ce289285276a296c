"""What is written about silent amphorae: that they are dead, that they are stopped, that they run something else."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.model.event import Event, Severity
from livia.core.plan.failover import WINDOW, Probe
from livia.core.report import Heartbeat
from livia.core.wake import Wake
from livia.services.context import new_request_id
from livia.store import events, watched, work
from livia.store.engine import Database
from livia.store.watched import Watched

log = structlog.get_logger()

#: codes of the events
DEAD, STOPPED, DRIFT = "amphora.dead", "amphora.failover_stopped", "amphora.drift"
SPARED = "amphora.spared"


class Told(Struct, frozen=True):
    """What the event of a decision says, and how urgent it is."""

    code: str
    severity: Severity
    priority: work.Priority
    sentence: str


class Registrar:
    """Each entry is one transaction: rows, event and work are written together, or not."""

    def __init__(self, database: Database, clock: Clock, wake: Wake) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake

    def recent_deaths(self) -> int:
        """How many amphorae any health manager declared dead within the window."""
        now, window = self._clock.now(), timedelta(seconds=WINDOW)
        with self._database.read() as connection:
            # Of the future is what another manager's clock says, or was written before ours was set back, perhaps by
            # hours: that must not hold failovers for as long.
            return watched.recent(connection, DEAD, now - window, now + window)

    def bury(self, amphora: Watched, last_update: datetime, probe: Probe, timeout: float) -> bool:
        """The amphora is dead: have it replaced. False when another health manager heard it, or did so already.

        `last_update`: when its row last said that it was heard.
        """
        sentence = f"Amphora {amphora.id} sent no heartbeat for {timeout:g} s and {probe.reason}; it is replaced."
        entry = Told(DEAD, Severity.ERROR, work.Priority.FAILOVER, sentence)
        request_id = self._decide(amphora, partial(watched.mark_failed, last_update=last_update), entry)
        if request_id is not None:
            log.error("amphora is dead", amphora=amphora.id, reason=probe.reason, request_id=request_id)
        return request_id is not None

    def stop(self, amphorae: Sequence[Watched], reason: str) -> None:
        """Too many are silent: none of these is replaced until it is heard, or fewer are silent."""
        if not amphorae:
            return

        def mark(connection: Connection) -> None:
            moment = self._clock.now()
            watched.stop(connection, [each.id for each in amphorae], moment)
            for each in amphorae:
                sentence = f"Amphora {each.id} is silent and not replaced: {reason}."
                events.add(connection, _event(each, STOPPED, Severity.ERROR, sentence), moment)

        self._database.transaction(mark)
        log.error("failovers stopped", amphorae=len(amphorae), reason=reason)

    def spare(self, amphora: Watched, sentence: str) -> None:
        """It is silent and forwards: tell once, whichever manager finds it out."""

        def mark(connection: Connection) -> None:
            last = events.of_load_balancer(connection, amphora.load_balancer_id, limit=1)
            if not last or last[0][0].message != sentence:
                events.add(connection, _event(amphora, SPARED, Severity.WARNING, sentence), self._clock.now())

        self._database.transaction(mark)
        log.warning("silent amphora is spared", amphora=amphora.id, reason=sentence)

    def resume(self, amphora_ids: Sequence[str]) -> None:
        """They were stopped, and report again."""
        if amphora_ids:
            self._database.transaction(lambda connection: watched.resume(connection, amphora_ids, self._clock.now()))
            log.warning("stopped amphorae report again", amphorae=len(amphora_ids))

    def repair(self, amphora: Watched, report: Heartbeat) -> bool:
        """The amphora runs something else than it confirmed: have its spec sent again. False while a change runs."""
        sentence = (
            f"Amphora {amphora.id} runs generation {report.generation} ({report.digest[:12]}) and had confirmed "
            f"{amphora.generation} ({amphora.digest[:12]}); its configuration is sent again."
        )
        entry = Told(DRIFT, Severity.WARNING, work.Priority.PERIODIC, sentence)
        request_id = self._decide(amphora, watched.request_repair, entry)
        if request_id is not None:
            log.warning("amphora drifted", amphora=amphora.id, reason=sentence, request_id=request_id)
        return request_id is not None

    def _decide(
        self, amphora: Watched, mark: Callable[[Connection, Watched, datetime], bool], told: Told
    ) -> str | None:
        """Mark the amphora, tell of it and ask for a reconcile, in one transaction; the id of that request, or None
        when `mark` finds that it is not to be."""
        request_id = new_request_id()

        def act(connection: Connection) -> bool:
            moment = self._clock.now()
            if not mark(connection, amphora, moment):
                return False
            events.add(connection, _event(amphora, told.code, told.severity, told.sentence, request_id), moment)
            _request(connection, amphora, told.priority, told.sentence, request_id)
            return True

        if not self._database.transaction(act):
            return None
        self._wake.hint(amphora.load_balancer_id)
        return request_id


def _request(connection: Connection, amphora: Watched, priority: work.Priority, reason: str, request_id: str) -> None:
    key = amphora.load_balancer_id
    work.request(connection, key, project_id=None, priority=priority, reason=reason, request_id=request_id)


def _event(amphora: Watched, code: str, severity: Severity, message: str, request_id: str | None = None) -> Event:
    return Event(
        load_balancer_id=amphora.load_balancer_id,
        object_type="amphora",
        object_id=amphora.id,
        severity=severity,
        code=code,
        message=message,
        request_id=request_id,
    )
