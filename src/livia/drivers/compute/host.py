"""Amphorae as namespaces on amphora hosts, chosen by load, zone and anti-affinity (design, section 8)."""

from livia.core.drivers import NoCapacity, Placement
from livia.core.model.amphora import Amphora, AmphoraHost
from livia.core.model.load_balancer import LoadBalancer
from livia.core.plan.placement import choose
from livia.store import hosts
from livia.store.engine import Database


class Hosts:
    """A ComputeDriver. A host that was not heard of for `silence` seconds gets no further amphora."""

    def __init__(self, database: Database, *, silence: float) -> None:
        self._database = database
        self._silence = silence

    def place(self, load_balancer: LoadBalancer, amphora: Amphora, avoid: frozenset[str]) -> Placement:
        if amphora.compute_id is not None and (found := self.find(amphora)) is not None:
            return found
        with self._database.read() as connection:
            known = hosts.every(connection)
        alive = tuple(host for host, age in known if age < self._silence)
        chosen = choose(alive, zone=load_balancer.availability_zone, avoid=avoid)
        if isinstance(chosen, str):
            raise NoCapacity(chosen)
        return _placement(chosen)

    def find(self, amphora: Amphora) -> Placement | None:
        if amphora.compute_id is None:
            return None
        with self._database.read() as connection:
            host = hosts.one(connection, amphora.compute_id)
        return None if host is None else _placement(host)

    def release(self, amphora: Amphora) -> None:
        """Nothing is held: an amphora's place is its row."""


def _placement(host: AmphoraHost) -> Placement:
    return Placement(
        compute_id=host.id,
        address=host.address,
        agent_port=host.agent_port,
        agent_name=host.id,
        zone=host.availability_zone,
    )
