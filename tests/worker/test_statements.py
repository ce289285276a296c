"""How often the worker asks the database for one load balancer: creations by the dozen wait for each other there."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import delete

from livia.drivers.network.noop import NoopNetworks
from livia.store import tables as t
from livia.store import trees
from tests.database import statements
from tests.worker.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One that has made a load balancer before, with no-op networks: nobody's ports are counted."""
    made = World(tmp_path)
    made.drivers = replace(made.drivers, network=NoopNetworks())
    made.reconcile(made.load_balancer("SINGLE"))
    return made


def bare(world: World, topology: str) -> str:
    """A load balancer that has nothing yet."""
    key = world.load_balancer(topology)
    with world.database.write() as connection:
        for table in (t.member, t.listener, t.pool):
            connection.execute(delete(table).where(table.c.load_balancer_id == key))
    return key


@pytest.mark.parametrize(("topology", "most"), [("SINGLE", 15), ("ACTIVE_STANDBY", 19)])
def test_a_creation_is_a_few(world: World, topology: str, most: int) -> None:
    key = bare(world, topology)
    with statements() as seen:
        world.reconcile(key)
    assert len(seen) <= most, "\n".join(seen)


def test_a_look_at_a_tree_that_is_as_wanted_is_one(world: World) -> None:
    key = bare(world, "ACTIVE_STANDBY")
    world.reconcile(key)
    with world.database.read() as connection:
        tree = trees.load(connection, key)
        assert tree is not None
        with statements() as seen:
            assert trees.load(connection, key) == tree
            assert trees.look_again(connection, tree) == tree
    assert len(seen) == 2, "\n".join(seen)
