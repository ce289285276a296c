"""What one amphora is seen to do: statuses and counters for its heartbeat."""

from msgspec import Struct, structs

from livia.agent.amphora import Amphora
from livia.agent.disk import Record
from livia.agent.errors import PlumbingError
from livia.agent.haproxy import statistics
from livia.agent.haproxy.master import ReloadFailedError
from livia.agent.haproxy.runtime import RuntimeApiError
from livia.core.report import ListenerCounters, ListenerReport, ListenerTotals, PoolReport

#: bytes that a log of HAProxy or keepalived may grow to
_LONGEST_LOG = 1024 * 1024


class Observation(Struct, frozen=True):
    """One look. `statuses` is all of it that calls for a heartbeat before the next is due."""

    record: Record
    holds_vip: bool
    listeners: dict[str, str]
    connections: dict[str, int]
    pools: dict[str, PoolReport]

    @property
    def statuses(self) -> tuple[object, ...]:
        return self.holds_vip, self.listeners, self.pools


class Observer:
    """Looks at one amphora again and again."""

    def __init__(self, amphora: Amphora) -> None:
        self.amphora = amphora

    def look(self) -> Observation | None:
        """What is there now; None when the amphora cannot do its work, and so says nothing."""
        amphora = self.amphora
        record = amphora.record
        if record is None or amphora.gone or not amphora.present():
            return None
        spec = record.assignment.spec
        if spec.vrrp is not None and not amphora.keepalived.runs():
            return None
        known = {listener.id for listener in spec.listeners}
        try:
            seen = amphora.haproxy.counting.look(known)
            amphora.haproxy.correct(spec, seen.statuses)
        except RuntimeApiError:
            return None
        try:
            passed = amphora.packets.look(spec)
        except (PlumbingError, OSError):
            # The namespace goes away while we look.
            return None
        if passed.readings:
            amphora.haproxy.counting.absorb_kernel(passed.namespace, passed.readings, known)
        return Observation(
            record=record,
            holds_vip=amphora.holds_vip(spec),
            listeners={
                name: statistics.listener_status(seen.statuses[name, "FRONTEND"])
                for name in seen.readings
                if name in known
            }
            | passed.statuses,
            connections={name: count for name, count in seen.connections.items() if name in known} | passed.connections,
            pools=statistics.pools(spec, seen.statuses, amphora.probes) | passed.pools,
        )

    def counts(self, observation: Observation) -> tuple[dict[str, ListenerReport], dict[str, ListenerTotals]]:
        """Listeners with what was counted since the last call, and what each has counted in all."""
        totals, added = self.amphora.haproxy.counting.take(observation.listeners)
        reports = {
            name: ListenerReport(
                status=statistics.listener_status(status),
                stats=ListenerCounters(conns=observation.connections.get(name, 0), **structs.asdict(added[name])),
            )
            for name, status in observation.listeners.items()
        }
        return reports, totals

    def tidy(self) -> None:
        """Finish what a change left, balance anew, and cut logs that grew. Skipped while a change is under way."""
        directory = self.amphora.directory
        for log in (directory.haproxy_log, directory.keepalived_log):
            if log.exists() and log.stat().st_size > _LONGEST_LOG:
                # They are open for appending: what is written next begins at zero.
                with log.open("r+b") as file:
                    file.truncate(0)
        unfinished = self.amphora.haproxy.unsettled or self.amphora.packets.unbalanced
        if unfinished and self.amphora.lock.acquire(blocking=False):
            try:
                self.amphora.finish()
            except (RuntimeApiError, ReloadFailedError, PlumbingError):
                # Tried again after the next look.
                return
            finally:
                self.amphora.lock.release()
