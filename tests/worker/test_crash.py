"""A worker that dies before any step, or after it: another finishes, and nothing is left over."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from livia.core.drivers import DriverError, Placement
from livia.core.plan.load_balancer import Action, Kind
from livia.core.report import Applied, HostFacts
from livia.core.spec import Assignment
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.host import Hosts
from livia.store import hosts, leases, trees
from livia.store import tables as t
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.worker.attempt import Step
from livia.worker.outcome import Again
from tests import database as rows
from tests.worker.world import World


class WorkerDied(BaseException):
    """Stands for kill -9: nothing in the product catches it."""


def dies_at(step: int, log: list[Kind]) -> Step:
    """A step hook that kills the worker before its `step`-th action."""

    def before(action: Action) -> None:
        log.append(action.kind)
        if len(log) > step:
            raise WorkerDied

    return before


def nothing(world: World, key: str) -> None:
    """Start from a fresh request."""


def delete(world: World, key: str) -> None:
    """Start from a load balancer that is ACTIVE and is to be deleted."""
    world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(
            t.load_balancer.update().where(t.load_balancer.c.id == key).values(provisioning_status="PENDING_DELETE")
        )


def kill_master(world: World, key: str) -> None:
    """Start from a load balancer with one dead amphora."""
    world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(
            t.amphora.update()
            .where(t.amphora.c.load_balancer_id == key, t.amphora.c.role.in_(("MASTER", "STANDALONE")))
            .values(status="ERROR")
        )


def delete_dead(world: World, key: str) -> None:
    """Start from a dead amphora whose deletion an operator asked for."""
    kill_master(world, key)
    with world.database.write() as connection:
        connection.execute(t.amphora.update().where(t.amphora.c.status == "ERROR").values(status="PENDING_DELETE"))


def replace_one(world: World, key: str) -> None:
    """Start from the failover of one amphora."""
    world.reconcile(key)
    first = (t.amphora.c.load_balancer_id == key) & t.amphora.c.role.in_(("MASTER", "STANDALONE"))
    with world.database.write() as connection:
        connection.execute(t.amphora.update().where(first).values(replace_requested=True))


class NoNewAgents(NoopAmphorae):
    """Agents that build nothing, and remove what others built."""

    def __init__(self, others: NoopAmphorae) -> None:
        super().__init__()
        self._others = others

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        self._others.remove(placement, amphora_id, fence)

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        raise DriverError("No amphora can be built here.", code="plumbing_failed")


def fail_to_build(world: World, key: str) -> None:
    """Start from a dead amphora whose replacement could not be built, under a user's change."""
    kill_master(world, key)
    assert isinstance(world.attempt(key, agents=NoNewAgents(world.amphorae)), Again)


def call_off(world: World, key: str) -> None:
    """Start from a failover that nobody wants any more, half-way."""
    replace_all(world, key)
    with pytest.raises(WorkerDied):
        world.reconcile(key, dies_at(3, []))
    with world.database.write() as connection:
        connection.execute(t.amphora.update().values(replace_requested=False))


def drain(world: World, key: str) -> None:
    """Start from a load balancer on two hosts, of which one is being drained, and a third host."""
    world.drivers = replace(world.drivers, compute=Hosts(world.database, silence=60.0))
    facts = HostFacts(address="192.0.2.1", agent_port=1, capacity=9, amphorae=0)
    with world.database.write() as connection:
        for name in ("host-a", "host-b"):
            hosts.seen(connection, name, facts)
    world.reconcile(key)
    with world.database.write() as connection:
        hosts.seen(connection, "host-c", facts)
        hosts.set_draining(connection, "host-a", draining=True)


def replace_all(world: World, key: str) -> None:
    """Start from a load balancer whose failover was asked for."""
    world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(t.amphora.update().where(t.amphora.c.load_balancer_id == key).values(replace_requested=True))


@pytest.mark.parametrize("topology", ["SINGLE", "ACTIVE_STANDBY"])
@pytest.mark.parametrize(
    "prepare",
    [nothing, kill_master, delete_dead, fail_to_build, replace_one, replace_all, call_off, drain, delete],
)
def test_every_prefix_converges(tmp_path: Path, topology: str, prepare: Callable[[World, str], None]) -> None:
    for step in itertools.count():
        directory = tmp_path / str(step)
        directory.mkdir()
        world = World(directory)
        key = world.load_balancer(topology)
        prepare(world, key)
        # How many steps there are is up to the clock: nobody waits for the removal of what is dead.
        finished = False
        with suppress(WorkerDied):
            world.reconcile(key, dies_at(step, []))
            finished = True
        world.reconcile(key)
        check(world, key, topology, gone=prepare is delete)
        world.database.close()
        if finished:
            assert step >= (1 if prepare is call_off else 2)
            return


def check(world: World, key: str, topology: str, *, gone: bool) -> None:
    """The end state is the same whatever happened on the way."""
    with world.database.read() as connection:
        tree = trees.load(connection, key)
        amphorae = list(connection.execute(select(t.amphora.c.id).where(t.amphora.c.status != "DELETED")).scalars())
    if gone:
        assert tree is None
        assert amphorae == []
        assert world.amphorae.present() == frozenset()
        assert world.ports() == []
        return
    assert tree is not None
    assert tree.load_balancer.provisioning_status == "ACTIVE"
    assert {listener.provisioning_status for listener in tree.listeners} == {"ACTIVE"}
    assert {member.provisioning_status for pool in tree.pools for member in pool.members} == {"ACTIVE"}
    wanted = {"SINGLE": ["STANDALONE"], "ACTIVE_STANDBY": ["BACKUP", "MASTER"]}[topology]
    assert sorted(amphora.role for amphora in tree.amphorae) == wanted
    assert {amphora.status for amphora in tree.amphorae} == {"ALLOCATED"}
    assert not any(amphora.replace_requested or amphora.host_draining for amphora in tree.amphorae)
    assert len({amphora.compute_id for amphora in tree.amphorae}) == len(wanted)
    assert {amphora.applied_generation for amphora in tree.amphorae} == {tree.load_balancer.generation}
    # No orphans: exactly the amphorae of the rows exist, with exactly their ports.
    assert world.amphorae.present() == {amphora.id for amphora in tree.amphorae}
    assert world.ports() == sorted(["octavia-lb-x", *(f"octavia-lb-vrrp-{each.id}" for each in tree.amphorae)])
    with world.database.read() as connection:
        watched = connection.execute(select(func.count()).select_from(t.amphora_health)).scalar_one()
    assert watched == len(tree.amphorae)


def test_a_lease_excludes_and_its_fence_only_grows(tmp_path: Path) -> None:
    database: Database = rows.fresh(tmp_path)

    def take(owner: str, seconds: float) -> Lease | None:
        return database.transaction(lambda connection: leases.take(connection, "key", owner, seconds))

    first = take("a", 60.0)
    assert first is not None
    assert take("b", 60.0) is None
    again = take("a", -1.0)
    assert again is not None
    assert again.fence > first.fence
    third = take("b", 60.0)
    assert third is not None
    assert third.fence > again.fence
    renewed = database.transaction(lambda connection: leases.renew(connection, again, 60.0))
    assert renewed is False
