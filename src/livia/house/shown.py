"""What a job last found, for scrapes: told by the process that has the job, and by no other.

A gauge of prometheus-client keeps its last value for good. Of two processes one would tell of certificates and orphans
what was so when it had the job, weeks ago, and whoever asks for the worst of all would never hear that it is over.
"""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Shown(Collector):
    """A gauge. Values are by those of `labels`, in their order."""

    def __init__(self, name: str, about: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._about = about
        self._labels = tuple(labels)
        self._values: Mapping[tuple[str, ...], float] = {}
        registry.register(self)

    def show(self, values: Mapping[tuple[str, ...], float]) -> None:
        """These, in place of those of before."""
        self._values = values

    def hide(self) -> None:
        """Nothing, until there is something new."""
        self._values = {}

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._about, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family
