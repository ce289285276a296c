"""Finds amphorae that fell silent, asks them over a second path, and has the dead ones replaced."""

from collections import deque
from threading import Event

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver, DriverError
from livia.core.model.event import Event as Entry
from livia.core.model.event import Severity
from livia.core.plan.failover import WINDOW, judge
from livia.core.wake import Wake
from livia.health.fleet import Fleet
from livia.store import amphorae, events, work
from livia.store.amphorae import Watched
from livia.store.engine import Database

log = structlog.get_logger()


class Watch:
    """One thread. `timeout`: seconds of silence after which an amphora is suspected; `interval`: between looks."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        clock: Clock,
        compute: ComputeDriver,
        agents: AmphoraDriver,
        wake: Wake,
        *,
        timeout: float,
        interval: float,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._clock = clock
        self._compute = compute
        self._agents = agents
        self._wake = wake
        self._timeout = timeout
        self._interval = interval
        self._listening_since = clock.monotonic()
        self._first_seen: dict[str, float] = {}
        self._failovers: deque[float] = deque()

    def interrupted(self) -> None:
        """We were away: nobody is declared dead before a full timeout has passed from now."""
        self._listening_since = self._clock.monotonic()

    def run(self, stop: Event) -> None:
        """Look every interval until stopped."""
        last = self._clock.monotonic()
        while not stop.wait(self._interval):
            now = self._clock.monotonic()
            if now - last > self._interval + self._timeout / 2:
                log.warning("the health manager was asleep", seconds=round(now - last, 1))
                self.interrupted()
            try:
                self.look()
            except SQLAlchemyError as error:
                log.warning("the fleet cannot be read", error=str(error))
                self.interrupted()
            # Taken after the look: probing many dead agents takes time that is no sleep.
            last = self._clock.monotonic()

    def look(self) -> None:
        """One scan of the fleet."""
        with self._database.read() as connection:
            watched = {each.id: each for each in amphorae.watched(connection)}
        now = self._clock.monotonic()
        self._fleet.keep_only(frozenset(watched))
        self._first_seen = {key: self._first_seen.get(key, now) for key in watched}
        silent = tuple(sorted(key for key in watched if now - self._heard(key) > self._timeout))
        while self._failovers and now - self._failovers[0] > WINDOW:
            self._failovers.popleft()
        verdict = judge(
            silent,
            fleet=len(watched),
            recent=len(self._failovers),
            listening=now - self._listening_since,
            timeout=self._timeout,
        )
        if verdict.held:
            log.warning("failovers held back", amphorae=len(verdict.held), reason=verdict.reason)
        for amphora_id in verdict.replace:
            self._replace_if_dead(watched[amphora_id], now)

    def _heard(self, amphora_id: str) -> float:
        heard = self._fleet.last_heard(amphora_id)
        return max(heard or 0.0, self._first_seen[amphora_id], self._listening_since)

    def _replace_if_dead(self, watched: Watched, now: float) -> None:
        reason = self._probe(watched)
        if reason is None:
            log.warning("amphora is silent but forwards", amphora=watched.id)
            return
        sentence = f"Amphora {watched.id} sent no heartbeat for {self._timeout:.0f} s and {reason}; it is replaced."

        def mark(connection: Connection) -> bool:
            moment = self._clock.now()
            if not amphorae.mark_failed(connection, watched.id, moment):
                return False
            entry = Entry(
                load_balancer_id=watched.load_balancer_id,
                object_type="amphora",
                object_id=watched.id,
                severity=Severity.ERROR,
                code="amphora.dead",
                message=sentence,
            )
            events.add(connection, entry, moment)
            work.request(
                connection, watched.load_balancer_id, project_id=None, priority=work.Priority.FAILOVER, reason=sentence
            )
            return True

        if self._database.transaction(mark):
            log.error("amphora is dead", amphora=watched.id, reason=reason)
            self._failovers.append(now)
            self._wake.hint(watched.load_balancer_id)

    def _probe(self, watched: Watched) -> str | None:
        """Why the amphora counts as dead; None while its agent says that it forwards."""
        with self._database.read() as connection:
            amphora = amphorae.one(connection, watched.id)
        placement = None if amphora is None else self._compute.find(amphora)
        if placement is None:
            return "its host is not registered"
        try:
            observed = self._agents.observe(placement, watched.id)
        except DriverError as error:
            return f"its agent does not answer ({error.message})"
        if observed is None:
            return "its agent does not know it"
        return None if observed.forwarding else "its agent says that it does not forward"
