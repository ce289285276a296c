"""An amphora has a port on each subnet that its members name, and no others."""

from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update

from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment, BandwidthLimit, Direction, Spec
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import tables as t
from tests.database import NOW
from tests.worker.world import World


class Agents(NoopAmphorae):
    """Remembers each amphora's newest spec, and the ports that were there when it was confirmed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.specs: dict[str, Spec] = {}
        self.ports_then: list[str] = []

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        self.specs[assignment.spec.amphora_id] = assignment.spec
        self.ports_then = self._world.ports()
        return super().apply(placement, assignment)


def _members(world: World, key: str, *subnets: str) -> None:
    """Another change: these are the subnets of the members now, one that is being deleted beside each other's."""
    with world.database.write() as connection:
        (pool_id,) = connection.execute(select(t.pool.c.id).where(t.pool.c.load_balancer_id == key)).scalars()
        connection.execute(delete(t.member).where(t.member.c.load_balancer_id == key))
        for number, subnet_id in enumerate(subnets, 1):
            doomed = subnet_id.startswith("-")
            connection.execute(
                insert(t.member).values(
                    id=f"{number}0000000-0000-4000-8000-000000000000",
                    load_balancer_id=key,
                    pool_id=pool_id,
                    project_id="project",
                    enabled=True,
                    operating_status="NO_MONITOR",
                    provisioning_status="PENDING_DELETE" if doomed else "PENDING_CREATE",
                    generation=1,
                    created_at=NOW,
                    ip_address=f"10.1.0.{number}",
                    subnet_id=subnet_id.removeprefix("-"),
                    protocol_port=80,
                    weight=1,
                    backup=False,
                )
            )
    _changed(world, key)


def _changed(world: World, key: str) -> None:
    table = t.load_balancer
    with world.database.write() as connection:
        connection.execute(
            update(table)
            .where(table.c.id == key)
            .values(generation=table.c.generation + 1, provisioning_status="PENDING_UPDATE")
        )


def _networks(spec: Spec) -> list[tuple[str, str]]:
    return [(interface.name, interface.network_id) for interface in spec.interfaces]


def test_ports_follow_the_members(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.drivers = replace(world.drivers, amphorae=(agents := Agents(world)))
    key = world.load_balancer("SINGLE")
    world.reconcile(key)
    plain = world.ports()
    other = world.network.create("other", "10.1.0.0/24", "fd00:1::/64")
    four, six = other.subnet_ids
    (vip_subnet,) = world.net.subnet_ids

    _members(world, key, four, four, vip_subnet)
    world.reconcile(key)
    (spec,) = agents.specs.values()
    assert [network for _name, network in _networks(spec)] == [world.net.id, other.id]
    assert spec.interfaces[1].gateway is None
    assert spec.interfaces[0].gateway == "10.0.0.1"
    assert len(set(world.ports()) - set(plain)) == 1
    before = _networks(spec)

    _members(world, key, six, four)
    world.reconcile(key)
    (spec,) = agents.specs.values()
    assert set(before) < set(_networks(spec))
    assert len(set(world.ports()) - set(plain)) == 2

    _members(world, key, six, f"-{four}")
    world.reconcile(key)
    (spec,) = agents.specs.values()
    assert len(spec.interfaces) == 2
    # Unplugged first, and free only then.
    assert len(set(agents.ports_then) - set(plain)) == 2
    assert len(set(world.ports()) - set(plain)) == 1

    _members(world, key)
    world.reconcile(key)
    assert world.ports() == plain


def test_the_rate_of_the_qos_policy_is_that_of_the_vips_interface(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.drivers = replace(world.drivers, amphorae=(agents := Agents(world)))
    key = world.load_balancer("ACTIVE_STANDBY")
    policy = world.network.qos.create("gold", max_kbps=5000)
    for policy_id, limits in (
        (policy.id, (BandwidthLimit(direction=Direction.EGRESS, kbps=5000),)),
        (None, ()),
    ):
        with world.database.write() as connection:
            connection.execute(update(t.vip).where(t.vip.c.load_balancer_id == key).values(qos_policy_id=policy_id))
        _changed(world, key)
        world.reconcile(key)
        assert [spec.interfaces[0].limits for spec in agents.specs.values()] == [limits] * 2


def test_a_users_port_is_released_and_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.load_balancer("SINGLE")
    port = world.network.create_port("mine", world.net)
    world.network.claim_vip_port(port.id, key)
    with world.database.write() as connection:
        connection.execute(
            update(t.vip).where(t.vip.c.load_balancer_id == key).values(port_id=port.id, octavia_owned=False)
        )
    world.reconcile(key)
    assert world.network.port(port.id) != port
    with world.database.write() as connection:
        connection.execute(
            update(t.load_balancer).where(t.load_balancer.c.id == key).values(provisioning_status="PENDING_DELETE")
        )
    world.reconcile(key)
    assert world.network.port(port.id) == port
