"""Agents that take a question and say nothing hold threads for long: whoever does not need them goes on."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Lock, Thread

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select, update

from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import tables as t
from livia.store import work
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker
from tests.waiting import wait_for
from tests.worker.test_together import Bell
from tests.worker.world import World

#: seconds for twenty load balancers on a slow machine
_LONG = 90.0


class Hanging(NoopAmphorae):
    """Agents that hang until `answer` is set: those of load balancers `stuck` at changes, any at removals if so told.
    `waiting`: how many callers they have; `most`: how many they had at once."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck: set[str] = set()
        self.keep_all = False
        self.answer = Event()
        self.waiting = 0
        self.most = 0
        self._counting = Lock()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        if assignment.spec.load_balancer_id in self.stuck:
            self._hang()
        return super().apply(placement, assignment)

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        if self.keep_all:
            self._hang()
        super().remove(placement, amphora_id, fence)

    def _hang(self) -> None:
        with self._counting:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.answer.wait()
        with self._counting:
            self.waiting -= 1


class Site(World):
    """A worker with four threads, from `begin` on."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.agents = Hanging()
        self.bell = Bell()
        drivers = replace(self.drivers, amphorae=self.agents)
        self.worker = Worker(
            self.database,
            lambda executors: Reconciler(self.database, drivers, self.clock, executors),
            self.bell.wait,
            self.bell,
            owner="w",
        )
        self.thread = Thread(target=self.worker.run)

    def begin(self) -> None:
        self.thread.start()

    def close(self) -> None:
        self.agents.answer.set()
        self.worker.stop()
        self.thread.join()

    def active(self) -> int:
        status = t.load_balancer.c.provisioning_status
        with self.database.read() as connection:
            query = select(func.count()).select_from(t.load_balancer).where(status == "ACTIVE")
            return int(connection.execute(query).scalar_one())

    def is_active(self, key: str) -> bool:
        query = select(t.load_balancer.c.provisioning_status).where(t.load_balancer.c.id == key)
        with self.database.read() as connection:
            return bool(connection.execute(query).scalar_one() == "ACTIVE")

    def lose_amphorae(self) -> None:
        """What the health manager does when hosts die."""
        with self.database.write() as connection:
            keys = connection.execute(select(t.load_balancer.c.id)).scalars().all()
            connection.execute(update(t.amphora).values(status="ERROR"))
            connection.execute(update(t.load_balancer).values(provisioning_status="PENDING_UPDATE"))
            for key in keys:
                work.request(connection, key, project_id="project", priority=work.Priority.FAILOVER)
        self.bell.hint("all")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def test_two_projects_whose_agents_hang_hold_up_no_third(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livia.worker.service._STALLED", 1.0)
    keys = [site.load_balancer("SINGLE", f"sick-{number % 2}") for number in range(20)]
    site.agents.stuck.update(keys)
    site.begin()
    wait_for(lambda: site.agents.waiting >= 4, _LONG)
    healthy = site.load_balancer("ACTIVE_STANDBY", "well")
    wait_for(lambda: site.is_active(healthy), _LONG)
    # However many there are that hang, they hold no more threads than these.
    wait_for(lambda: site.agents.waiting == 12, _LONG)
    another = site.load_balancer("ACTIVE_STANDBY", "well")
    wait_for(lambda: site.is_active(another), _LONG)
    assert site.agents.most == 12
    site.agents.answer.set()
    wait_for(lambda: all(map(site.is_active, keys)), _LONG)


def test_removals_that_hang_hold_up_neither_failovers_nor_changes(site: Site) -> None:
    for _number in range(12):
        site.load_balancer("SINGLE")
    site.begin()
    wait_for(lambda: site.active() == 12, _LONG)
    site.agents.keep_all = True
    site.lose_amphorae()
    wait_for(lambda: site.agents.waiting == 8, _LONG)
    pair = site.load_balancer("ACTIVE_STANDBY", "other")
    wait_for(lambda: site.is_active(pair), _LONG)
    wait_for(lambda: site.active() == 13, _LONG)
    assert site.agents.most == 8
