"""Amphorae as namespaces on amphora hosts, chosen by load, zone and anti-affinity (design, section 8)."""

import msgspec
from sqlalchemy import Connection

from livia.core.drivers import NoCapacity, Placement
from livia.core.model.amphora import Amphora, AmphoraHost
from livia.core.model.load_balancer import LoadBalancer
from livia.core.plan.placement import choose
from livia.store import hosts, offers
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
            zone = _compute_zone(connection, load_balancer.availability_zone)
        alive = tuple(host for host, age in known if age < self._silence)
        chosen = choose(alive, zone=zone, avoid=avoid)
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


def _compute_zone(connection: Connection, zone: str | None) -> str | None:
    """The zone that hosts must be in: what the availability zone calls `compute_zone` (contract 60, section 5.1), or
    else its name."""
    found = None if zone is None else offers.offer(connection, offers.ZONES, zone)
    data = {} if found is None else msgspec.json.decode(found.data)
    return str(data.get("compute_zone") or zone) if zone is not None else None


def _placement(host: AmphoraHost) -> Placement:
    return Placement(
        compute_id=host.id,
        address=host.address,
        agent_port=host.agent_port,
        agent_name=host.id,
        zone=host.availability_zone,
    )
