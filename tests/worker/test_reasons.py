"""What keeps a load balancer from becoming ACTIVE is told in a sentence, and it goes on when that is gone."""

from pathlib import Path

from livia.drivers.compute.host import Hosts
from livia.store import events, trees
from livia.worker.outcome import Again, Failed
from tests.worker.world import World


def told(world: World, key: str) -> list[tuple[str, str]]:
    """Code and sentence of each event."""
    with world.database.read() as connection:
        return [(entry.code, entry.message) for entry, _when in events.of_load_balancer(connection, key)]


def status(world: World, key: str) -> str:
    with world.database.read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    return tree.load_balancer.provisioning_status


def test_a_host_network_without_a_free_address(tmp_path: Path) -> None:
    world = World(tmp_path, cidr="10.0.0.0/29")
    key = world.load_balancer("ACTIVE_STANDBY")
    # The gateway and the VIP are taken, too: one amphora finds an address, the other does not.
    others = [world.network.ensure_port(name, world.net.id, world.net.subnet_ids[0]) for name in ("a", "b", "c")]
    sentence = "Subnet tenant (10.0.0.0/29) has no free address."
    for _attempt in range(2):
        outcome = world.attempt(key)
        assert isinstance(outcome, Again)
        assert outcome.reason == sentence
    assert told(world, key) == [("no_address", sentence)]
    assert status(world, key) == "PENDING_CREATE"

    late = world.attempt(key, spent=301.0)
    assert isinstance(late, Failed)
    assert status(world, key) == "ERROR"
    assert told(world, key)[-1] == ("load_balancer.error", f"not done within 300 s: {sentence}")

    world.network.delete_port(others[0].id)
    world.reconcile(key)
    assert status(world, key) == "ACTIVE"


def test_no_amphora_host(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = world.load_balancer("SINGLE")
    nowhere = Hosts(world.database, silence=60.0)
    outcome = world.attempt(key, compute=nowhere)
    assert isinstance(outcome, Again)
    assert "amphora host" in outcome.reason
    assert told(world, key) == [("no_capacity", outcome.reason)]
    world.reconcile(key)
    assert status(world, key) == "ACTIVE"
