"""Places that cost nothing: for tests and benchmarks of everything above them."""

from uuid import NAMESPACE_URL, uuid5

from livia.core.drivers import Placement
from livia.core.model.amphora import Amphora
from livia.core.model.load_balancer import LoadBalancer


class NoopCompute:
    """A ComputeDriver: every amphora gets a place of its own, the same one each time."""

    def place(self, load_balancer: LoadBalancer, amphora: Amphora, beside: frozenset[str]) -> Placement:
        compute_id = amphora.compute_id or str(uuid5(NAMESPACE_URL, f"livia:compute:{amphora.id}"))
        return Placement(compute_id=compute_id, address="192.0.2.1", agent_port=9443, agent_name=amphora.id)

    def full(self, load_balancer: LoadBalancer) -> str | None:
        return None

    def find(self, amphora: Amphora) -> Placement | None:
        if amphora.compute_id is None:
            return None
        return Placement(compute_id=amphora.compute_id, address="192.0.2.1", agent_port=9443, agent_name=amphora.id)

    def lost(self, amphora: Amphora) -> str | None:
        return None

    def shun(self, load_balancer: LoadBalancer, amphora: Amphora) -> bool:
        """Each has its own place, the same one each time."""
        return False

    def release(self, amphora: Amphora) -> None:
        """Nothing is held."""
