"""What the agent counts (Prometheus text format)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """One registry for each agent, so that several can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.amphorae = Gauge("livia_agent_amphorae", "Amphorae on this host.", registry=self._registry)
        self.applies = Counter(
            "livia_agent_applies", "Specs applied or refused, by outcome.", ["outcome"], registry=self._registry
        )
        self.reloads = Counter("livia_agent_reloads", "Reloads of HAProxy.", registry=self._registry)
        self.old_workers = Gauge(
            "livia_agent_old_workers",
            "HAProxy processes that a reload replaced and that still have connections, on this host.",
            registry=self._registry,
        )
        self.most_old_workers = Gauge(
            "livia_agent_old_workers_most", "Those of the amphora that has most of them.", registry=self._registry
        )
        self.runtime_changes = Counter(
            "livia_agent_runtime_changes", "Commands of HAProxy's runtime API.", registry=self._registry
        )
        self.heartbeats = Counter(
            "livia_agent_heartbeats", "Heartbeats by outcome.", ["outcome"], registry=self._registry
        )
        self.scrapes = Counter(
            "livia_agent_scrapes", "Scrapes of tenants by outcome.", ["outcome"], registry=self._registry
        )
        self.faults = Counter(
            "livia_agent_faults", "Errors that an outermost loop met and survived.", registry=self._registry
        )

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
