"""Several workers on one database: each load balancer is worked on by one of them, under its lease, at a time."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import tables as t
from livia.store import work
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker
from tests import database as rows
from tests.worker.world import World

WORKERS = 3
EACH = 12


class Witness(NoopAmphorae):
    """Agents that see who changes a load balancer: by how many at a time, and in which order of fences."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = Lock()
        self._inside: dict[str, Counter[int]] = {}
        self.crowds: list[str] = []
        self.order: list[str] = []

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        key = assignment.spec.load_balancer_id
        with self._seen:
            self.order.append(assignment.spec.project_id)
            inside = self._inside.setdefault(key, Counter())
            inside[assignment.fence] += 1
            if len(+inside) > 1:
                self.crowds.append(key)
        time.sleep(0.005)
        try:
            return super().apply(placement, assignment)
        finally:
            with self._seen:
                inside[assignment.fence] -= 1


class Bell:
    """A hint that one worker of this process hears."""

    def __init__(self) -> None:
        self._rung = Event()

    def hint(self, key: str) -> None:
        self._rung.set()

    def wait(self, seconds: float) -> bool:
        rung = self._rung.wait(seconds)
        self._rung.clear()
        return rung


@contextmanager
def working(world: World, count: int, threads: int = 4) -> Iterator[None]:
    """Workers while they run, each with a name of its own."""
    made = []
    for number in range(count):
        make = partial(Reconciler, world.database, world.drivers, world.clock, tls=world.tls)
        bell = Bell()
        worker = Worker(world.database, make, bell.wait, bell, owner=f"worker-{number}", threads=threads)
        made.append((worker, Thread(target=worker.run)))
    for _worker, thread in made:
        thread.start()
    try:
        yield
    finally:
        for worker, _thread in made:
            worker.stop()
        for _worker, thread in made:
            thread.join()


def until_idle(world: World, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with world.database.read() as connection:
            left = connection.execute(select(func.count()).select_from(t.work)).scalar_one()
        if not left:
            return
        assert time.monotonic() < deadline, f"{left} are left"
        time.sleep(0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.drivers = replace(made.drivers, amphorae=Witness())
    yield made
    made.database.close()


def put(world: World, project_id: str) -> str:
    return rows.put_load_balancer(
        world.database,
        project_id=project_id,
        network_id=world.net.id,
        subnet_id=world.net.subnet_ids[0],
        address="10.0.0.9",
    )


def test_each_load_balancer_is_worked_on_by_one_at_a_time(world: World) -> None:
    keys = [put(world, f"project-{number % 2}") for number in range(EACH)]
    with working(world, WORKERS):
        # More is asked for while they work, of load balancers that others are at.
        for _round in range(3):
            for key in keys:
                with world.database.write() as connection:
                    work.request(connection, key, project_id=None)
            time.sleep(0.1)
        until_idle(world)
    witness = world.drivers.amphorae
    assert isinstance(witness, Witness)
    assert witness.crowds == []
    with world.database.read() as connection:
        statuses = connection.execute(select(t.load_balancer.c.provisioning_status)).scalars().all()
        amphorae = connection.execute(select(t.amphora.c.load_balancer_id)).scalars().all()
        held = connection.execute(select(t.lease.c.key).where(t.lease.c.owner.is_not(None))).scalars().all()
    assert Counter(statuses) == {"ACTIVE": EACH}
    assert Counter(amphorae) == dict.fromkeys(keys, 2)
    assert held == []


def test_a_tenants_burst_does_not_hold_up_another(world: World) -> None:
    for _number in range(EACH):
        put(world, "many")
    put(world, "one")
    with working(world, 1, threads=2):
        until_idle(world)
    witness = world.drivers.amphorae
    assert isinstance(witness, Witness)
    # It came last, and is among the first: how many of the burst are under way by then is up to the clock.
    assert witness.order.index("one") < EACH


def test_a_failover_goes_before_what_tenants_ask_for(world: World) -> None:
    for _number in range(EACH):
        put(world, "tenant")
    urgent = put(world, "urgent")
    with world.database.write() as connection:
        work.request(connection, urgent, project_id="urgent", priority=work.Priority.FAILOVER)
    with working(world, 1, threads=1):
        until_idle(world)
    witness = world.drivers.amphorae
    assert isinstance(witness, Witness)
    assert witness.order[:2] == ["urgent", "urgent"]
