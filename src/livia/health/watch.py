"""Finds amphorae that fell silent, has the second path ask about them, and the dead ones replaced."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import Event

import structlog
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError

from livia.core.clock import Clock
from livia.core.plan.failover import WINDOW, Guard, Probe, Situation, Spared, Suspect, Verdict, judge
from livia.health.deaths import Registrar
from livia.health.drift import Drift
from livia.health.fleet import Fleet
from livia.health.metrics import Metrics
from livia.health.probes import Probes
from livia.store import hosts, standing, watched
from livia.store.engine import Database
from livia.store.watched import Watched

log = structlog.get_logger()

#: seconds that a look waits for the second path at most: what is answered later is acted on at the next look
_PATIENCE = 0.5
#: of the timeout: so long may it be, around an unanswered question, that nothing shows our network to work
_SHORTLY = 0.5


class Limits(Struct, frozen=True, kw_only=True):
    """`timeout`: seconds of silence after which an amphora is suspected; `interval`: between looks; `threshold`: so
    many silent ones stop failovers (contract 95, section 2.3)."""

    timeout: float
    interval: float
    threshold: int | None = None


class Watch:
    """One thread. `arrived`: until when everything that arrived was heard, in monotonic seconds: no silence counts
    beyond it."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        clock: Clock,
        probes: Probes,
        registrar: Registrar,
        metrics: Metrics,
        limits: Limits,
        *,
        arrived: Callable[[], float],
        on_forget: Callable[[str], None],
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._clock = clock
        self._probes = probes
        self._registrar = registrar
        self._drift = Drift(fleet, registrar, metrics)
        self._metrics = metrics
        self._limits = limits
        self._arrived = arrived
        self._on_forget = on_forget
        self._listening_since = self._last_look = clock.monotonic()
        self._first_seen: dict[str, float] = {}
        self._elsewhere: dict[str, float] = {}
        self._updates: Mapping[str, datetime] = {}
        self._failovers: deque[float] = deque()
        self._told: Guard = Guard.OK
        self._spared: frozenset[str] = frozenset()
        self._silent_hosts: frozenset[str] = frozenset()
        #: when our network worked, as the last looks saw it: of two timeouts
        self._evidence: deque[float] = deque(maxlen=2 + round(2 * limits.timeout / limits.interval))

    def interrupted(self) -> None:
        """We were away: nobody is declared dead before a full timeout has passed from now."""
        self._listening_since = self._clock.monotonic()

    def run(self, stop: Event) -> None:
        """Look every interval until stopped."""
        self._last_look = self._clock.monotonic()
        while not stop.wait(self._limits.interval):
            try:
                self.look()
            except SQLAlchemyError as error:
                log.warning("the fleet cannot be read", error=str(error))
                self._metrics.writing.outages.inc()
                self.interrupted()
            except Exception:
                # The outermost loop of the thread: without it nobody would be replaced any more.
                log.exception("look failed")
        self._probes.close()

    def look(self) -> None:
        """One scan of the fleet."""
        now = self._notice_sleep()
        with self._database.read() as connection:
            # In this order: who is ready meanwhile is not missed, nor that somebody is heard.
            coming = watched.coming(connection)
            updates = watched.last_updates(connection)
            serving = watched.every(connection)
            known_hosts = hosts.every(connection)
        self._note_hosts({host.id: age for host, age in known_hosts})
        self._forget_all_but(coming.union(serving))
        rows = {key: row for key, row in serving.items() if key in updates}
        self._note_rows(rows, now)
        self._note_updates(updates, now)
        heard = self._heard_at()
        silent = {key: now - at for key, at in heard.items() if now - at > self._limits.timeout}
        self._registrar.resume(
            [key for key, row in rows.items() if row.stopped and now - self._spoke(key) <= self._limits.timeout]
        )
        self._probes.keep_only(frozenset(silent))
        listening = now - max(self._listening_since, self._fleet.resumed)
        if silent and listening >= self._limits.timeout:
            self._probes.ask(silent, min(_PATIENCE, self._limits.interval))
        situation = self._situation(len(rows), silent, listening)
        self._evidence.append(situation.evidence)
        verdict = judge(self._suspects(rows, silent), situation)
        self._act(rows, heard, verdict)
        self._drift.look(rows, silent.keys(), now)
        self._show(rows, silent, now - min(heard.values(), default=now), verdict)

    def _notice_sleep(self) -> float:
        """Until when everything that arrived was heard; an interruption if we were away."""
        began = self._clock.monotonic()
        away = began - self._last_look
        self._last_look = began
        if away > 2 * self._limits.interval + self._limits.timeout / 3:
            log.warning("the health manager was asleep", seconds=round(away, 1))
            self.interrupted()
        return min(began, self._arrived())

    def _forget_all_but(self, known: frozenset[str]) -> None:
        for gone in self._fleet.keep_only(known):
            self._on_forget(gone)
            if gone not in self._first_seen:
                self._metrics.findings.strangers.inc()

    def _note_rows(self, rows: Mapping[str, Watched], now: float) -> None:
        if rows.keys() != self._first_seen.keys():
            self._first_seen = {key: self._first_seen.get(key, now) for key in rows}
            self._elsewhere = {key: at for key, at in self._elsewhere.items() if key in rows}

    def _note_updates(self, updates: Mapping[str, datetime], now: float) -> None:
        """Who was heard by another manager has another time in its row now."""
        theirs = {moment for moment in set(updates.values()) if not self._fleet.is_ours(moment)}
        # That it changed is all that is asked: clocks of managers differ, and are set.
        elsewhere = [
            key
            for key, moment in updates.items()
            if moment in theirs and key in self._first_seen and self._updates.get(key, moment) != moment
        ]
        self._elsewhere |= dict.fromkeys(elsewhere, now)
        self._fleet.supersede(elsewhere)
        self._updates = updates

    def _spoke(self, amphora_id: str) -> float:
        """When a health manager last heard it."""
        return max(self._fleet.last_heard(amphora_id) or 0.0, self._elsewhere.get(amphora_id, 0.0))

    def _heard(self, amphora_id: str) -> float:
        """Since when its silence counts."""
        return max(self._spoke(amphora_id), self._first_seen[amphora_id])

    def _heard_at(self) -> dict[str, float]:
        """The same of every amphora that is watched."""
        # Who was heard elsewhere was seen before.
        known, spoke = self._first_seen | self._elsewhere, self._fleet.times()
        return {key: max(at, spoke.get(key, at)) for key, at in known.items()}

    def _suspects(self, rows: Mapping[str, Watched], silent: Mapping[str, float]) -> tuple[Suspect, ...]:
        if not silent:
            return ()
        reporting = {row.load_balancer_id for key, row in rows.items() if key not in silent}
        standbys = self._standbys(rows, silent)
        waiting = self._waiting({rows[key].load_balancer_id for key in standbys if not rows[key].settled})
        return tuple(
            Suspect(
                id=key,
                silence=silence,
                alone=rows[key].load_balancer_id not in reporting,
                probe=self._probes.answer(key),
                standby=standbys.get(key),
                waiting=waiting.get(rows[key].load_balancer_id, 0.0),
                connected=self._connected(self._probes.answer(key)),
            )
            for key, silence in silent.items()
        )

    def _connected(self, probe: Probe | None) -> bool:
        """Whether our network worked right before this was asked, and right after it was not answered."""
        if probe is None:
            return False
        after = min((at for at in self._evidence if at > probe.ended), default=float("inf"))
        return probe.asked - probe.worked + after - probe.ended <= _SHORTLY * self._limits.timeout

    def _standbys(self, rows: Mapping[str, Watched], silent: Mapping[str, float]) -> dict[str, str]:
        """By silent amphora the other one of its pair, which reports without the VIP: its HAProxy answers then and its
        keepalived runs, or it would say nothing, and another's adverts keep it from taking the VIP."""
        suspected = {rows[key].load_balancer_id for key in silent if rows[key].paired}
        pairs: dict[str, list[str]] = {}
        for key, row in rows.items() if suspected else ():
            if row.load_balancer_id in suspected:
                pairs.setdefault(row.load_balancer_id, []).append(key)
        reports = self._fleet.reports([key for pair in pairs.values() for key in pair])
        found = {}
        for key in silent:
            # Of three, one of which replaces another, any may be the one that sends adverts.
            others = [each for each in pairs.get(rows[key].load_balancer_id, ()) if each != key]
            report = reports.get(others[0]) if len(others) == 1 else None
            if report is not None and report.at > self._heard(key) and not report.heartbeat.holds_vip:
                found[key] = others[0]
        return {key: other for key, other in found.items() if other not in silent}

    def _waiting(self, load_balancer_ids: set[str]) -> dict[str, float]:
        """Seconds that changes of these wait to be confirmed."""
        if not load_balancer_ids:
            return {}
        with self._database.read() as connection:
            found = standing.of(connection, sorted(load_balancer_ids))
        return {key: each.age for key, each in found.items() if each.age is not None}

    def _situation(self, fleet: int, silent: Mapping[str, float], listening: float) -> Situation:
        now = self._clock.monotonic()
        while self._failovers and now - self._failovers[0] > WINDOW:
            self._failovers.popleft()
        return Situation(
            fleet=fleet,
            recent=max(len(self._failovers), self._registrar.recent_deaths()) if silent else 0,
            listening=listening,
            evidence=self._probes.evidence(),
            timeout=self._limits.timeout,
            threshold=self._limits.threshold,
        )

    def _act(self, rows: Mapping[str, Watched], heard: Mapping[str, float], verdict: Verdict) -> None:
        self._registrar.stop([rows[key] for key in verdict.stop if not rows[key].stopped], verdict.reason)
        self._spare(rows, verdict.spared)
        for key in verdict.replace:
            probe = self._probes.answer(key)
            # Heard while we looked at the others, or the answer has become old.
            if probe is None or self._heard(key) > heard[key]:
                continue
            if self._registrar.bury(rows[key], self._updates[key], probe, self._limits.timeout):
                self._metrics.findings.failovers.labels(probe.answer).inc()
                self._failovers.append(self._clock.monotonic())

    def _spare(self, rows: Mapping[str, Watched], spared: Sequence[Spared]) -> None:
        for each in spared:
            if each.id not in self._spared:
                self._registrar.spare(rows[each.id], each.reason)
        self._spared = frozenset(each.id for each in spared)

    def _show(self, rows: Mapping[str, Watched], silent: Mapping[str, float], oldest: float, verdict: Verdict) -> None:
        held = len(verdict.held) + len(verdict.stop) + len(verdict.spared)
        if verdict.guard is not self._told:
            log.warning("failover guard", state=str(verdict.guard), held=held, reason=verdict.reason)
            self._told = verdict.guard
        self._metrics.sight.stand(verdict.guard)
        self._metrics.sight.watched.set(len(rows))
        self._metrics.sight.silent.set(len(silent))
        self._metrics.sight.oldest.set(max(0.0, oldest))
        self._metrics.sight.held.set(held)

    def _note_hosts(self, ages: Mapping[str, float]) -> None:
        silent = frozenset(key for key, age in ages.items() if age > self._limits.timeout)
        for key in silent - self._silent_hosts:
            log.warning("amphora host is silent", host=key, seconds=round(ages[key]))
        for key in self._silent_hosts & ages.keys() - silent:
            log.warning("amphora host reports again", host=key)
        self._silent_hosts = silent
        self._metrics.sight.silent_hosts.set(len(silent))
