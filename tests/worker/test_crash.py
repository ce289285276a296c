"""A worker that dies before any step, or after it: another finishes, and nothing is left over."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from livia.core.plan.load_balancer import Action, Kind
from livia.store import leases, trees
from livia.store import tables as t
from livia.store.engine import Database
from livia.store.leases import Lease
from livia.worker.reconciler import Step
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


def count_steps(directory: Path, topology: str, prepare: Callable[[World, str], None]) -> int:
    world = World(directory)
    key = world.load_balancer(topology)
    prepare(world, key)
    log: list[Kind] = []
    world.reconcile(key, dies_at(10_000, log))
    return len(log)


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


def replace_all(world: World, key: str) -> None:
    """Start from a load balancer whose failover was asked for."""
    world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(t.amphora.update().where(t.amphora.c.load_balancer_id == key).values(replace_requested=True))


@pytest.mark.parametrize("topology", ["SINGLE", "ACTIVE_STANDBY"])
@pytest.mark.parametrize("prepare", [nothing, kill_master, replace_all, delete])
def test_every_prefix_converges(tmp_path: Path, topology: str, prepare: Callable[[World, str], None]) -> None:
    (tmp_path / "count").mkdir()
    steps = count_steps(tmp_path / "count", topology, prepare)
    assert steps >= 2
    for step in range(steps):
        directory = tmp_path / str(step)
        directory.mkdir()
        world = World(directory)
        key = world.load_balancer(topology)
        prepare(world, key)
        with pytest.raises(WorkerDied):
            world.reconcile(key, dies_at(step, []))
        world.reconcile(key)
        check(world, key, topology, gone=prepare is delete)
        world.database.close()


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
