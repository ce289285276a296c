"""Notices amphorae that run another configuration than they confirmed (design, section 7)."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from livia.core.plan.failover import LEAST, SHARE, WINDOW
from livia.health.deaths import Registrar
from livia.health.fleet import Fleet, Report
from livia.health.metrics import Metrics
from livia.store.watched import Watched


class _Noticed(Struct, frozen=True):
    """What differed from what, and since when."""

    runs: tuple[int, str]
    confirmed: tuple[int, str]
    at: float


class Drift:
    """As many are repaired in a minute as are replaced: a mistake of ours must not reload a whole fleet at once."""

    def __init__(self, fleet: Fleet, registrar: Registrar, metrics: Metrics) -> None:
        self._fleet = fleet
        self._registrar = registrar
        self._metrics = metrics
        self._noticed: dict[str, _Noticed] = {}
        self._repaired: dict[str, float] = {}

    def look(self, rows: Mapping[str, Watched], silent: Collection[str], now: float) -> None:
        """Have those repaired that were heard to differ both before and after the last look."""
        reports = self._fleet.reports([key for key in self._differing(rows) if key not in silent])
        self._repaired = {key: at for key, at in self._repaired.items() if now - at < WINDOW}
        allowed = max(LEAST, int(len(rows) * SHARE)) - len(self._repaired)
        noticed: dict[str, _Noticed] = {}
        for key, report in reports.items():
            found = _difference(rows[key], report, now)
            if found is None or key in self._repaired:
                continue
            before = self._noticed.get(key)
            if before is None or (before.runs, before.confirmed) != (found.runs, found.confirmed):
                noticed[key] = found
                continue
            noticed[key] = before
            # A beat may be older than the row that it differs from: only one that came after both counts.
            if report.at > before.at and allowed > 0 and self._registrar.repair(rows[key], report.heartbeat):
                self._metrics.findings.drifts.inc()
                self._repaired[key] = now
                allowed -= 1
        self._noticed = noticed

    def _differing(self, rows: Mapping[str, Watched]) -> list[str]:
        """Those of the whole fleet whose reports are worth a look of their own."""
        beats = self._fleet.heartbeats()
        return [
            key
            for key, row in rows.items()
            if row.digest
            and (beat := beats.get(key)) is not None
            and (beat.digest != row.digest or beat.generation != row.generation)
        ]


def _difference(row: Watched, report: Report, now: float) -> _Noticed | None:
    beat = report.heartbeat
    # Agents of others tell neither generation nor digest, and of amphorae configured long ago no digest is known.
    if not (row.settled and row.digest and beat.generation and beat.digest) or row.stopped:
        return None
    runs, confirmed = (beat.generation, beat.digest), (row.generation, row.digest)
    return None if runs == confirmed else _Noticed(runs, confirmed, now)
