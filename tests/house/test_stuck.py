"""Nothing stays PENDING because a work row was lost."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Table, insert, select, update

from livia.core.clock import SystemClock
from livia.core.wake import NoWake
from livia.house.stuck import Unattended
from livia.store import events, leases, stuck, work
from livia.store import tables as t
from tests import database as rows
from tests.house.turns import done
from tests.worker.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def look(world: World) -> int:
    job = Unattended(world.database, SystemClock(), NoWake(), CollectorRegistry(), interval=0.0)
    return done(world.database, job).done


def lose_work(world: World) -> None:
    """The work row is gone, and the last worker let go."""
    with world.database.write() as connection:
        connection.execute(t.work.delete())
        connection.execute(t.lease.delete())


def status(world: World, table: Table) -> set[str]:
    with world.database.read() as connection:
        return set(connection.execute(select(table.c.provisioning_status)).scalars())


@pytest.mark.parametrize("pending", ["PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE"])
def test_a_load_balancer_that_nobody_is_at_gets_to_its_end(world: World, pending: str) -> None:
    key = world.load_balancer("SINGLE")
    if pending != "PENDING_CREATE":
        world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(update(t.load_balancer).values(provisioning_status=pending))
    lose_work(world)
    assert [look(world), look(world)] == [1, 0]
    with world.database.read() as connection:
        told = {entry.message: entry.request_id for entry, _at in events.of_load_balancer(connection, key)}
        asked = work.one(connection, key)
    request_id = told[f"It was {pending} and nobody had work for it: it was asked for again."]
    assert request_id is not None
    assert asked is not None
    assert asked.request_id == request_id
    world.reconcile(key)
    assert status(world, t.load_balancer) == {"DELETED" if pending == "PENDING_DELETE" else "ACTIVE"}


def test_a_child_that_was_forgotten_is_confirmed(world: World) -> None:
    key = world.load_balancer("SINGLE")
    world.reconcile(key)
    with world.database.write() as connection:
        connection.execute(update(t.member).values(provisioning_status="PENDING_UPDATE"))
    lose_work(world)
    assert look(world) == 1
    world.reconcile(key)
    assert status(world, t.member) == {"ACTIVE"}
    assert status(world, t.load_balancer) == {"ACTIVE"}


def test_parts_are_looked_at_a_share_of_load_balancers_at_a_time(world: World) -> None:
    keys = sorted(rows.put_load_balancer(world.database) for _ in range(3))
    with world.database.write() as connection:
        connection.execute(update(t.load_balancer).values(provisioning_status="ACTIVE"))
    lose_work(world)
    after, found = "", []
    with world.database.read() as connection:
        while (last := stuck.end_of(connection, after, 2)) is not None:
            found.append([each.key for each in stuck.children(connection, after, last)])
            after = last
    assert [sorted(each) for each in found] == [keys[:2], keys[2:]]


def test_an_amphora_of_nobody_that_is_to_go_is_asked_for(world: World) -> None:
    with world.database.write() as connection:
        connection.execute(insert(t.amphora).values(id="a-1", status="PENDING_DELETE", role="STANDALONE"))
    assert look(world) == 1
    world.reconcile("a-1")
    with world.database.read() as connection:
        assert connection.execute(select(t.amphora.c.status)).scalar_one() == "DELETED"


@pytest.mark.parametrize("attended", ["work", "lease", "other provider", "active"])
def test_what_somebody_is_at_or_nobody_shall_be_is_left_alone(world: World, attended: str) -> None:
    key = world.load_balancer("SINGLE")
    if attended != "work":
        lose_work(world)
    with world.database.write() as connection:
        if attended == "lease":
            leases.take(connection, key, "worker", 60.0)
        if attended == "other provider":
            connection.execute(update(t.load_balancer).values(provider="noop_driver"))
        if attended == "active":
            for table in (t.load_balancer, t.listener, t.pool, t.member):
                connection.execute(update(table).values(provisioning_status="ACTIVE"))
    assert look(world) == 0
    with world.database.read() as connection:
        assert (work.one(connection, key) is not None) is (attended == "work")
