"""A far side that never answers holds neither a load balancer nor the worker."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import events, standing, trees
from livia.worker.metrics import Metrics
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker
from tests.waiting import wait_for
from tests.worker.world import World


class Hanging(NoopAmphorae):
    """Agents that take a spec and say nothing until `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = Event()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        self.answer.wait()
        return super().apply(placement, assignment)


class Site(World):
    """A worker with one thread, and agents that hang until told otherwise."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.agents = Hanging()
        self.registry = CollectorRegistry()
        drivers = replace(self.drivers, amphorae=self.agents)
        self.worker = Worker(
            self.database,
            lambda pool: Reconciler(self.database, drivers, self.clock, pool, deadline=3.0),
            lambda seconds: Event().wait(min(seconds, 0.05)),
            NoWake(),
            owner="w",
            threads=1,
            deadline=3.0,
            metrics=Metrics(self.registry),
        )
        self.thread = Thread(target=self.worker.run)
        self.thread.start()

    def close(self) -> None:
        self.agents.answer.set()
        self.worker.stop()
        self.thread.join()

    def status(self, key: str) -> str:
        with self.database.read() as connection:
            tree = trees.load(connection, key)
        assert tree is not None
        return tree.load_balancer.provisioning_status


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def test_what_hangs_shows_error_and_lets_others_work(site: Site) -> None:
    stuck = site.load_balancer("SINGLE")
    wait_for(lambda: later(site, stuck), 60.0)
    assert site.status(stuck) == "ERROR"
    reason = "not done within 3 s, and still at this: 1 amphorae do not run generation 1 yet"
    with site.database.read() as connection:
        (entry, _when) = events.of_load_balancer(connection, stuck)[-1]
        assert (entry.code, entry.message) == ("load_balancer.error", reason)
    with site.database.read() as connection:
        left = standing.of(connection, [stuck])[stuck]
    assert (left.worker, left.reason) == (None, reason)
    assert site.registry.get_sample_value("livia_reconciles_overdue_total") == 1.0

    site.agents.answer.set()
    # The one thread hung; what comes now has another.
    other = site.load_balancer("SINGLE")
    wait_for(lambda: site.status(other) == "ACTIVE", 60.0)
    assert site.registry.get_sample_value("livia_leases_lost_total") == 0.0
    # Whoever hung does nothing more under a lease that it has no longer.
    assert later(site, stuck)


def later(site: Site, key: str) -> bool:
    """Whether it is to be tried again after a pause."""
    with site.database.read() as connection:
        return standing.of(connection, [key])[key].due_in > 20.0
