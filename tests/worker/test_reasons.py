"""What keeps a load balancer from becoming ACTIVE is told in a sentence, and it goes on when that is gone."""

from itertools import count
from pathlib import Path

import pytest

from livia.core.drivers import DriverError, Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.host import Hosts
from livia.store import events, trees
from livia.worker.outcome import Again, Failed
from tests.worker.world import World

NUMBERS = count(4711)


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


class Refusing(NoopAmphorae):
    """An agent whose HAProxy takes nothing, and says so in other words each time."""

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        said = f"HAProxy refuses the configuration. [ALERT]    ({next(NUMBERS)}) : config : unknown keyword"
        raise DriverError(said, code=self.code)

    code = "haproxy_refused"


class Failing(Refusing):
    """Whose network cannot be made, which may be otherwise at the next try."""

    code = "plumbing_failed"


@pytest.mark.parametrize("agents", [Refusing(), Failing()])
def test_what_is_tried_for_weeks_adds_no_events_without_an_end(tmp_path: Path, agents: NoopAmphorae) -> None:
    world = World(tmp_path)
    key = world.load_balancer("SINGLE")
    for _try in range(2):
        assert isinstance(world.attempt(key, agents=agents, spent=301.0), Failed)
    known = told(world, key)
    assert known[-1][0] == "load_balancer.error"
    for _try in range(5):
        world.attempt(key, agents=agents, spent=301.0)
    assert told(world, key) == known
    # Who asks anew is told anew.
    world.attempt(key, agents=agents, spent=301.0, request_id="req-2")
    assert told(world, key)[len(known) :][-1][0] == "load_balancer.error"
