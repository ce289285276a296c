"""A worker that lost its lease while it waited gives no port to an amphora that others removed meanwhile."""

from pathlib import Path

import pytest

from livia.core.drivers import DriverError
from livia.store import amphorae, trees
from tests.database import NOW
from tests.worker.world import World


def test_an_amphora_that_was_removed_gets_no_port(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.load_balancer("SINGLE")
    world.reconcile(key)
    with world.database.read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    (amphora,) = tree.amphorae
    (port,) = world.network.ports_of(amphora.id)
    world.network.delete_port(port.id)
    assert world.network.ensure_amphora_port(tree.load_balancer, amphora).id == port.id
    world.network.delete_port(port.id)
    world.database.transaction(lambda connection: amphorae.forget(connection, amphora.id, NOW))
    with pytest.raises(DriverError, match="is gone"):
        world.network.ensure_amphora_port(tree.load_balancer, amphora)
    assert list(world.network.ports_of(amphora.id)) == []
