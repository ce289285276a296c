"""What the worker counts and times (docs/metrics.md)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from livia.core.plan.load_balancer import Cause

#: seconds; from an amphora that confirms at once to a machine that boots
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ATTEMPTS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)


def _durations(name: str, about: str, labels: list[str], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, about, labels, buckets=_DURATIONS, registry=registry)


class Metrics:
    """One registry for each worker, so that several can live in one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._count_reconciles(registry)
        self._count_actions(registry)
        self._count_finding(registry)

    def _count_reconciles(self, registry: CollectorRegistry) -> None:
        self.reconciles = _durations(
            "livia_reconcile_duration_seconds",
            "Looks at a load balancer, with what they did, by outcome: done, again, failed, broken_off.",
            ["outcome"],
            registry,
        )
        self.attempts = Histogram(
            "livia_reconcile_attempts",
            "How often the same had been tried before, for each reconcile.",
            buckets=_ATTEMPTS,
            registry=registry,
        )
        self.running = Gauge("livia_reconciles_running", "Reconciles under way in this worker.", registry=registry)
        self.overdue = Counter(
            "livia_reconciles_overdue",
            "Reconciles that hung until their deadline: the lease was let go, and the thread given up.",
            registry=registry,
        )
        self.crashed = Counter(
            "livia_reconciles_crashed",
            "Reconciles that this worker goes on with after the worker that was at them ended in their midst.",
            registry=registry,
        )
        self.leases_lost = Counter(
            "livia_leases_lost", "Leases that another worker took while they were in use.", registry=registry
        )

    def _count_actions(self, registry: CollectorRegistry) -> None:
        self.actions = _durations(
            "livia_action_duration_seconds",
            "Single actions of reconciles, by kind and outcome: done, failed.",
            ["action", "outcome"],
            registry,
        )
        self.replacements = Counter(
            "livia_replacements",
            "Amphorae that are to take the place of others, by cause.",
            ["cause"],
            registry=registry,
        )
        for each in Cause:
            self.replacements.labels(each)

    def _count_finding(self, registry: CollectorRegistry) -> None:
        self.found = Counter(
            "livia_work_found",
            "New work by how it was found: hint, or poll where the hint was lost or never came here.",
            ["by"],
            registry=registry,
        )
        self.start_delay = _durations(
            "livia_work_start_delay_seconds", "From the request for new work to its beginning.", [], registry
        )
