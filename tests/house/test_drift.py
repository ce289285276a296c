"""Amphorae that run something else than they confirmed are sent their spec again, a few at a time."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from livia.core.clock import SystemClock
from livia.core.drivers import Placement, Unreachable
from livia.core.report import Applied
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.noop import NoopCompute
from livia.house.drift import Drift
from livia.store import events, load_balancers, work
from livia.store import tables as t
from tests.house.turns import done
from tests.worker.world import World


class Strange(NoopAmphorae):
    """Agents of which one runs something else."""

    def __init__(self, world: World, change: str) -> None:
        super().__init__()
        self.world = world
        self.change = change
        self.asked: list[str] = []

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        self.asked.append(amphora_id)
        applied = self.world.amphorae.observe(placement, amphora_id)
        assert applied is not None
        if self.change == "generation":
            return replace(applied, generation=applied.generation - 1)
        if self.change == "digest":
            return replace(applied, digest="0" * 64)
        if self.change == "silent":
            raise Unreachable("it does not answer")
        return None if self.change == "gone" else applied


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def settled(world: World, many: int = 1) -> list[str]:
    keys = []
    for _ in range(many):
        key = world.load_balancer("SINGLE")
        world.reconcile(key)
        with world.database.write() as connection:
            connection.execute(t.work.delete())
        keys.append(key)
    return keys


def job(world: World, agents: NoopAmphorae, most: int = 100) -> Drift:
    return Drift(
        world.database,
        SystemClock(),
        NoopCompute(),
        agents,
        NoWake(),
        CollectorRegistry(),
        interval=0.0,
        most=most,
    )


def wanted(world: World, key: str) -> int | None:
    with world.database.read() as connection:
        entry = work.one(connection, key)
    return None if entry is None else entry.priority


@pytest.mark.parametrize("change, sentence", [("generation", "runs generation 0"), ("digest", "(000000000000)")])
def test_an_amphora_that_differs_is_sent_its_spec_again(world: World, change: str, sentence: str) -> None:
    (key,) = settled(world)
    assert done(world.database, job(world, Strange(world, change))).done == 1
    assert wanted(world, key) == work.Priority.PERIODIC
    with world.database.read() as connection:
        told = events.of_load_balancer(connection, key)[-1][0]
        asked = work.one(connection, key)
        applied = connection.execute(select(t.amphora.c.applied_generation)).scalar_one()
    assert sentence in told.message
    assert told.message.endswith("its configuration is sent again.")
    assert applied == 0
    # By one id the house's log, the event and the worker's log are found.
    assert asked is not None
    assert told.request_id is not None
    assert asked.request_id == told.request_id
    world.reconcile(key)
    assert done(world.database, job(world, Strange(world, "nothing"))).done == 0


def test_an_amphora_that_its_agent_lost_is_built_again(world: World) -> None:
    (key,) = settled(world)
    amphora = next(iter(world.amphorae.present()))
    with world.database.write() as connection:
        connection.execute(t.work.delete())
    assert done(world.database, job(world, Strange(world, "gone"))).done == 1
    world.amphorae.remove(Placement(compute_id="", address="", agent_port=0, agent_name=""), amphora, 99)
    world.reconcile(key)
    assert world.amphorae.present() == {amphora}


@pytest.mark.parametrize("change", ["nothing", "silent"])
def test_who_runs_what_it_confirmed_or_does_not_answer_is_left_alone(world: World, change: str) -> None:
    (key,) = settled(world)
    assert done(world.database, job(world, Strange(world, change))).done == 0
    assert wanted(world, key) is None


def test_a_change_under_way_is_no_drift(world: World) -> None:
    (key,) = settled(world)

    class Meanwhile(Strange):
        """A change is accepted between the read of the rows and the agent's answer."""

        def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
            with world.database.write() as connection:
                load_balancers.begin_change(connection, key, strict=False)
                work.request(connection, key, project_id=None)
            return super().observe(placement, amphora_id)

    assert done(world.database, job(world, Meanwhile(world, "generation"))).done == 0
    assert wanted(world, key) == work.Priority.USER


def test_so_many_are_looked_at_in_a_turn_and_then_the_next(tmp_path: Path) -> None:
    world = World(tmp_path, cidr="10.0.0.0/16")
    settled(world, 7)
    agents = Strange(world, "nothing")
    trickle = job(world, agents, most=3)
    for expected in (3, 6, 7):
        done(world.database, trickle)
        assert len(set(agents.asked)) == expected
    assert len(agents.asked) == 9


def test_a_fleet_that_differs_is_repaired_a_few_at_a_time(tmp_path: Path) -> None:
    world = World(tmp_path, cidr="10.0.0.0/16")
    settled(world, 12)
    trickle = job(world, Strange(world, "digest"))
    assert done(world.database, trickle).done == 10
    assert done(world.database, trickle).done == 2
