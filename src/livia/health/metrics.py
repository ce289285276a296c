"""What a health manager tells of itself: loss and lag of heartbeats, what is not written, and the guard's state."""

from collections.abc import Callable, Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from livia.core.plan.failover import Guard

#: where the kernel lists UDP sockets; the last column counts datagrams that found the receive queue full (proc(5))
_SOCKETS = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
#: seconds; what waits longer than one is late (docs/performance.md)
_WAITS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_FLUSHES = (0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 10.0, 60.0)


class Reception:
    """What arrived, what did not, and what waited."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verdicts = Counter("livia_heartbeats", "Heartbeat datagrams by verdict.", ["verdict"], registry=registry)
        self.lost = Counter(
            "livia_heartbeats_lost", "Heartbeats that were sent to this manager and never came.", registry=registry
        )
        self.waits = Histogram(
            "livia_heartbeats_wait_seconds",
            "Of datagrams that were received together: how long the first waited, until all of them were taken in.",
            buckets=_WAITS,
            registry=registry,
        )


class Writing:
    """What the database took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.flushes = Histogram(
            "livia_health_flush_seconds",
            "How long it took to write what was heard.",
            buckets=_FLUSHES,
            registry=registry,
        )
        self.outages = Counter(
            "livia_health_database_errors", "Times that the database took or gave nothing.", registry=registry
        )


class Sight:
    """The fleet as the last look at it found it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.watched = Gauge("livia_health_amphorae", "Amphorae that should report.", registry=registry)
        self.silent = Gauge(
            "livia_health_silent_amphorae", "Amphorae that sent nothing for the timeout.", registry=registry
        )
        self.silent_hosts = Gauge(
            "livia_health_silent_hosts", "Amphora hosts that sent nothing for the timeout.", registry=registry
        )
        self.oldest = Gauge(
            "livia_health_oldest_silence_seconds",
            "Since when the most silent amphora was not heard.",
            registry=registry,
        )
        self.held = Gauge(
            "livia_health_held_failovers", "Amphorae that may be dead and are left alone.", registry=registry
        )
        self._guard = Gauge(
            "livia_health_guard", "1 for the present state of the failover guard.", ["state"], registry=registry
        )
        self.stand(Guard.OK)

    def stand(self, guard: Guard) -> None:
        """The guard's state is this."""
        for each in Guard:
            self._guard.labels(each).set(each is guard)


class Findings:
    """What looks at the fleet led to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.strangers = Counter(
            "livia_heartbeats_strangers", "Senders that no amphora row is known of.", registry=registry
        )
        self.failovers = Counter(
            "livia_failovers", "Amphorae that were declared dead, by cause.", ["cause"], registry=registry
        )
        self.drifts = Counter(
            "livia_drifts", "Amphorae that ran another configuration than they had confirmed.", registry=registry
        )


class Metrics:
    """Collectors of one health manager, in the registry that its `/metrics` shows, by the part that fills them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.reception = Reception(registry)
        self.writing = Writing(registry)
        self.sight = Sight(registry)
        self.findings = Findings(registry)

    def watch_queue(self, port: int, behind: Callable[[], float], pending: Callable[[], int]) -> None:
        """Show also the receive queue of `port`, how many seconds we are behind it, and what is to be written."""
        self._registry.register(_Queue(port, behind, pending))


class _Queue(Collector):
    """Read when asked for."""

    def __init__(self, port: int, behind: Callable[[], float], pending: Callable[[], int]) -> None:
        self._port = port
        self._behind = behind
        self._pending = pending

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(
            "livia_heartbeats_dropped", "Datagrams that found the receive queue full.", value=dropped(self._port)
        )
        yield GaugeMetricFamily(
            "livia_health_behind_seconds", "Since when datagrams may wait in the receive queue.", value=self._behind()
        )
        yield GaugeMetricFamily(
            "livia_health_pending_amphorae", "Amphorae with news that are not written yet.", value=self._pending()
        )


def dropped(port: int) -> int:
    """How many datagrams to a local UDP port the kernel dropped because its queue was full."""
    total = 0
    for path in _SOCKETS:
        if path.exists():
            rows = (line.split() for line in path.read_text().splitlines()[1:])
            total += sum(int(row[-1]) for row in rows if int(row[1].rpartition(":")[2], 16) == port)
    return total
