"""One request is found by its id in what the worker says of it: in its log, in the events, and at the agent."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from threading import Thread

import pytest
import structlog
from msgspec.structs import replace
from structlog.contextvars import get_contextvars

from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.ops import logs
from livia.store import events, trees, work
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker
from tests.waiting import wait_for
from tests.worker.world import World

REQUEST = "req-11111111-2222-3333-4444-555555555555"


class Listening(NoopAmphorae):
    """Agents that remember what was bound to the log when they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: list[dict[str, object]] = []

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        self.bound.append(get_contextvars())
        return super().apply(placement, assignment)


def status(world: World, key: str) -> str:
    with world.database.read() as connection:
        tree = trees.load(connection, key)
    assert tree is not None
    return tree.load_balancer.provisioning_status


@pytest.fixture
def log() -> Iterator[StringIO]:
    stream = StringIO()
    before = structlog.get_config()
    logs.configure(stream)
    yield stream
    structlog.configure(**before)


def test_the_id_of_a_request_goes_along(tmp_path: Path, log: StringIO) -> None:
    world = World(tmp_path)
    agents = Listening()
    key = world.load_balancer("ACTIVE_STANDBY")
    world.database.transaction(lambda connection: work.request(connection, key, project_id="p", request_id=REQUEST))
    drivers = replace(world.drivers, amphorae=agents)
    worker = Worker(
        world.database,
        lambda pool: Reconciler(world.database, drivers, world.clock, pool),
        lambda seconds: False,
        NoWake(),
        owner="w",
    )
    thread = Thread(target=worker.run)
    thread.start()
    wait_for(lambda: status(world, key) == "ACTIVE", 60.0)
    worker.stop()
    thread.join()

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (done,) = [line for line in lines if line["event"] == "reconciled"]
    assert done["request_id"] == REQUEST
    assert done["reconcile_id"].startswith("rec-")
    assert [each["request_id"] for each in agents.bound] == [REQUEST, REQUEST]
    assert {each["reconcile_id"] for each in agents.bound} == {done["reconcile_id"]}
    with world.database.read() as connection:
        told = [(entry.code, entry.request_id) for entry, _when in events.of_load_balancer(connection, key)]
    assert told[-1] == ("load_balancer.active", REQUEST)
