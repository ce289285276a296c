"""Spare amphorae: the pool is filled where hosts can take them, and each is taken once, by what it fits."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from sqlalchemy import RowMapping, select, update

from livia.core.clock import SystemClock
from livia.core.model.amphora import Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.report import HostFacts
from livia.core.wake import NoWake
from livia.drivers.compute.host import Hosts
from livia.house.runner import Outcome
from livia.house.spares import Spares
from livia.services import hosts as services
from livia.store import hosts, spares, trees
from livia.store import tables as t
from livia.store.engine import Database
from livia.worker.outcome import Again
from tests import database as rows
from tests.house.turns import done
from tests.worker.world import World


def add_host(database: Database, name: str, *, capacity: int = 10, zone: str | None = None) -> None:
    facts = HostFacts(address="192.0.2.1", agent_port=9443, capacity=capacity, amphorae=0, availability_zone=zone)
    database.transaction(lambda connection: hosts.seen(connection, name, facts))


def change_host(database: Database, name: str, **values: object) -> None:
    with database.write() as connection:
        connection.execute(update(t.amphora_host).where(t.amphora_host.c.id == name).values(**values))


def fill(database: Database, size: int) -> Outcome:
    job = Spares(database, SystemClock(), CollectorRegistry(), interval=0.0, size=size, silence=15.0)
    return done(database, job)


def places(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(spare.host or "" for spare in spares.ready(connection))


def amphorae(database: Database, owner: str) -> list[RowMapping]:
    with database.read() as connection:
        query = select(t.amphora).where(t.amphora.c.load_balancer_id == owner)
        return list(connection.execute(query).mappings())


def owner_of(database: Database, key: str) -> LoadBalancer:
    with database.read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    return tree.load_balancer


def take(database: Database, owner: LoadBalancer, role: Role = Role.STANDALONE) -> str | None:
    return database.transaction(lambda connection: spares.take(connection, owner, role, rows.NOW))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.drivers = replace(world.drivers, compute=Hosts(world.database, silence=15.0))
    return world


def test_the_pool_is_filled_across_hosts_and_shrinks(world: World) -> None:
    for name in ("a", "b", "full", "draining", "lost"):
        add_host(world.database, name, capacity=0 if name == "full" else 10)
    change_host(world.database, "draining", draining=True)
    change_host(world.database, "lost", last_seen=0.0)
    assert fill(world.database, 4).reason == "4 of 4 spares are ready, 4 new, 0 given up"
    assert places(world.database) == ["a", "a", "b", "b"]
    assert fill(world.database, 4).done == 0
    change_host(world.database, "a", draining=True)
    assert fill(world.database, 4).reason == "4 of 4 spares are ready, 2 new, 2 given up"
    assert places(world.database) == ["b"] * 4
    change_host(world.database, "b", last_seen=0.0)
    assert fill(world.database, 2).reason == (
        "0 of 2 spares are ready, 0 new, 4 given up; no host that is alive and not being drained has room for more"
    )
    change_host(world.database, "a", draining=False)
    assert fill(world.database, 1).done == 1
    assert fill(world.database, 0).done == 1
    assert places(world.database) == []


def test_a_load_balancer_is_built_of_spares_on_two_hosts_and_the_pool_is_refilled(world: World) -> None:
    for name in ("a", "b"):
        add_host(world.database, name)
    fill(world.database, 4)
    with world.database.read() as connection:
        pool = {spare.id for spare in spares.ready(connection)}
    key = world.load_balancer("ACTIVE_STANDBY")
    world.reconcile(key)
    used = amphorae(world.database, key)
    assert {row["id"] for row in used} < pool
    assert {row["compute_id"] for row in used} == {"a", "b"}
    assert {row["status"] for row in used} == {"ALLOCATED"}
    assert fill(world.database, 4).done == 2


def test_a_load_balancer_is_built_without_spares_where_none_fits(world: World) -> None:
    for name in ("a", "b"):
        add_host(world.database, name)
    fill(world.database, 1)
    spare_host = places(world.database)[0]
    key = world.load_balancer("ACTIVE_STANDBY")
    world.reconcile(key)
    assert {row["compute_id"] for row in amphorae(world.database, key)} == {"a", "b"}
    assert places(world.database) == []
    assert spare_host in {"a", "b"}


@pytest.mark.parametrize(
    "change, fits",
    [({}, True), ({"draining": True}, False), ({"last_seen": 0.0}, False), ({"availability_zone": "z2"}, False)],
)
def test_only_a_spare_that_fits_is_taken(world: World, change: dict[str, object], fits: bool) -> None:
    add_host(world.database, "a", zone="z1")
    fill(world.database, 1)
    change_host(world.database, "a", **{"address": "192.0.2.2", **change})
    owner = replace(owner_of(world.database, world.load_balancer("SINGLE")), availability_zone="z1")
    assert (take(world.database, owner) is not None) is fits


def test_a_pair_takes_no_second_spare_of_the_same_host(world: World) -> None:
    add_host(world.database, "a")
    fill(world.database, 2)
    owner = owner_of(world.database, world.load_balancer("ACTIVE_STANDBY"))
    assert take(world.database, owner, Role.MASTER) is not None
    assert take(world.database, owner, Role.BACKUP) is None


def test_each_spare_is_taken_once_however_many_want_it(world: World) -> None:
    add_host(world.database, "a", capacity=100)
    fill(world.database, 3)
    owners = [owner_of(world.database, rows.put_load_balancer(world.database)) for _ in range(8)]
    together = Barrier(len(owners))

    def one(owner: LoadBalancer) -> str | None:
        together.wait()
        return take(world.database, owner)

    with ThreadPoolExecutor(len(owners)) as pool:
        taken = [key for key in pool.map(one, owners) if key is not None]
    assert len(taken) == len(set(taken)) == 3


def test_a_spare_that_was_taken_is_not_given_up(world: World) -> None:
    add_host(world.database, "a")
    fill(world.database, 1)
    with world.database.read() as connection:
        (spare,) = spares.ready(connection)
    assert take(world.database, owner_of(world.database, world.load_balancer("SINGLE"))) == spare.id
    assert not world.database.transaction(lambda connection: spares.drop(connection, spare.id, rows.NOW))


def test_a_failover_takes_a_spare_where_no_host_has_room(world: World) -> None:
    for name in ("a", "b", "c"):
        add_host(world.database, name, capacity=1)
    key = world.load_balancer("ACTIVE_STANDBY")
    world.reconcile(key)
    assert fill(world.database, 1).done == 1
    (free,) = places(world.database)

    def backup() -> RowMapping:
        ours = (each for each in amphorae(world.database, key) if each["status"] != "DELETED")
        (found,) = (each for each in ours if each["role"] == Role.BACKUP)
        return found

    def ask() -> None:
        ours = t.amphora.c.id == backup()["id"]
        with world.database.write() as connection:
            connection.execute(update(t.amphora).where(ours).values(replace_requested=True))

    left = backup()["compute_id"]
    ask()
    world.reconcile(key)
    assert (backup()["compute_id"], places(world.database)) == (free, [])
    # Without a spare nothing is begun, until there is room.
    change_host(world.database, left, draining=True)
    ask()
    outcome = world.attempt(key)
    assert isinstance(outcome, Again)
    assert (
        outcome.reason
        == "Each of 2 amphora hosts is full: raise its capacity ([livia] host_capacity), or add one (livia host add)."
    )


def test_the_spares_of_a_host_that_is_removed_go_with_it(world: World) -> None:
    """Whoever forgets the host may be quicker than the house."""
    add_host(world.database, "a", capacity=2)
    fill(world.database, 2)
    change_host(world.database, "a", last_seen=0.0)
    assert services.remove(world.database, NoWake(), world.clock, "a", 15.0) == 2
    with world.database.read() as connection:
        assert set(connection.execute(select(t.amphora.c.status)).scalars()) == {"DELETED"}
    # It comes back: nothing of what was there takes a place.
    add_host(world.database, "a", capacity=2)
    assert fill(world.database, 2).reason == "2 of 2 spares are ready, 2 new, 0 given up"
