"""What counts towards the deadline of a change: tries and pauses, not what clocks are set to."""

from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from livia.core.drivers import Placement, Unreachable
from livia.core.plan.load_balancer import Action, Kind
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import events, work
from livia.store import tables as t
from livia.worker.attempt import Step, no_step
from livia.worker.outcome import Done
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker, settle
from tests.worker.world import World

_DEADLINE = 300.0


class Agents(NoopAmphorae):
    """Agents that are `lost` take nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = False

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        if self.lost:
            raise Unreachable("no route to host")
        return super().apply(placement, assignment)


class Site(World):
    """A load balancer that is asked for, and agents that may be lost."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.agents = Agents()
        self.key = self.load_balancer("SINGLE")

    def work(self, before: Step = no_step) -> None:
        """A worker's life, until nothing is due."""
        drivers = replace(self.drivers, amphorae=self.agents)
        looked = Event()

        def wait(seconds: float) -> bool:
            # Nothing is due: that was all.
            looked.set()
            return Event().wait(min(seconds, 0.01))

        worker = Worker(
            self.database,
            lambda pool: Reconciler(self.database, drivers, self.clock, pool, deadline=_DEADLINE, before=before),
            wait,
            NoWake(),
            owner="w",
            threads=1,
        )
        thread = Thread(target=worker.run)
        thread.start()
        assert looked.wait(20.0)
        worker.stop()
        thread.join()

    def change(self) -> None:
        """What a PUT does."""
        with self.database.write() as connection:
            connection.execute(
                update(t.load_balancer).values(
                    generation=t.load_balancer.c.generation + 1, provisioning_status="PENDING_UPDATE"
                )
            )
            work.request(connection, self.key, project_id="p")

    def pass_by(self, seconds: float) -> None:
        with self.database.write() as connection:
            connection.execute(update(t.work).values(spent=t.work.c.spent + seconds))

    def set_clock(self, seconds: float) -> None:
        """The database's clock jumps ahead by so much: every moment it told lies further back."""
        with self.database.write() as connection:
            connection.execute(update(t.work).values(since=t.work.c.since - seconds, due=t.work.c.due - seconds))
            connection.execute(update(t.lease).values(expires=t.lease.c.expires - seconds))

    def status(self) -> str:
        with self.database.read() as connection:
            return str(connection.execute(select(t.load_balancer.c.provisioning_status)).scalar_one())

    def spent(self) -> float:
        with self.database.read() as connection:
            entry = work.one(connection, self.key)
        assert entry is not None
        return entry.spent


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_one_that_cannot_be_changed_passes_its_deadline_however_often_it_is_asked(site: Site) -> None:
    site.work()
    assert site.status() == "ACTIVE"
    site.agents.lost = True
    for _second in range(3):
        site.change()
        site.work()
        assert site.status() == "PENDING_UPDATE"
        site.pass_by(_DEADLINE / 3)
    site.change()
    site.work()
    assert site.status() == "ERROR"
    with site.database.read() as connection:
        (last, _when) = events.of_load_balancer(connection, site.key)[-1]
    assert last.message == "not done within 300 s: no route to host"


def test_one_that_is_changed_while_it_is_confirmed_is_not_late(site: Site) -> None:
    site.pass_by(_DEADLINE - 0.001)
    asked: list[Action] = []

    def change(action: Action) -> None:
        if action.kind is Kind.CONFIRM and not asked:
            asked.append(action)
            site.agents.lost = True
            site.change()

    site.work(before=change)
    # The second change failed, and nothing was spent on it before.
    assert site.status() == "PENDING_UPDATE"
    assert site.spent() < 60.0


def test_one_that_is_changed_at_the_end_of_every_change_is_not_late(site: Site) -> None:
    site.pass_by(_DEADLINE - 0.001)
    with site.database.read() as connection:
        entry = work.one(connection, site.key)
    assert entry is not None
    site.change()
    site.database.transaction(
        lambda connection: settle(connection, entry, Done(reason="confirmed"), took=1.0, confirmed=True)
    )
    assert site.spent() < 60.0


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
def test_a_clock_that_is_set_to_another_day_makes_nothing_late_or_wait(site: Site, seconds: float) -> None:
    site.work()
    site.agents.lost = True
    site.change()
    site.set_clock(seconds)
    site.work()
    assert site.status() == "PENDING_UPDATE"
    assert 0.0 < site.spent() < 60.0
    site.set_clock(seconds)
    site.agents.lost = False
    site.work()
    assert site.status() == "ACTIVE"


def test_tries_and_pauses_count(site: Site) -> None:
    site.agents.lost = True

    def at_length(action: Action) -> None:
        if action.kind is Kind.APPLY:
            sleep(0.3)

    site.work(before=at_length)
    # The first pause is 0.2 s.
    assert site.spent() >= 0.5
