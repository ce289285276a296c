"""Jobs of the house: one process at a time does one, and one that hangs or fails stops nothing but itself."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from livia.core.clock import SystemClock
from livia.house.runner import LEASE_SECONDS, Outcome, Runner, Stopped, Turn
from livia.store import leases
from livia.store import tables as t
from livia.store.engine import Database
from tests import database as rows
from tests.house.turns import HandClock, turn
from tests.waiting import wait_for


class Doing:
    """A Job that does what it is told."""

    def __init__(self, act: Callable[[Turn], None], *, name: str = "doing", interval: float = 0.01) -> None:
        self.name = name
        self.interval = interval
        self._act = act
        self.turns = 0

    def run(self, turn: Turn) -> Outcome:
        self.turns += 1
        self._act(turn)
        return Outcome(done=1, reason="it is done")


def nothing(_turn: Turn) -> None:
    """A job well done."""


def running(database: Database, *jobs: Doing, owner: str = "house", registry: CollectorRegistry | None = None) -> Event:
    """A process's jobs until the event is set."""
    stop = Event()
    runner = Runner(database, SystemClock(), jobs, owner=owner, registry=registry or CollectorRegistry())
    Thread(target=runner.run, args=(stop,), daemon=True).start()
    return stop


def expire(database: Database) -> None:
    """The database's clock goes past every lease."""
    with database.write() as connection:
        connection.execute(update(t.lease).values(expires=0.0))


def test_a_job_that_hangs_or_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    database, release, registry = rows.fresh(tmp_path), Event(), CollectorRegistry()

    def fail(_turn: Turn) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the database went away"))

    def hang(_turn: Turn) -> None:
        release.wait(30)

    hangs = Doing(hang, name="hangs")
    fails, works = Doing(fail, name="fails"), Doing(nothing, name="works")
    stop = running(database, hangs, fails, works, registry=registry)
    try:
        wait_for(lambda: works.turns >= 5 and fails.turns >= 3)
        assert hangs.turns == 1
        assert (registry.get_sample_value("livia_house_turns_total", {"job": "fails", "outcome": "failed"}) or 0) >= 2
        assert registry.get_sample_value("livia_house_last_success_timestamp_seconds", {"job": "fails"}) is None
        success = registry.get_sample_value("livia_house_last_success_timestamp_seconds", {"job": "works"})
        assert abs((success or 0.0) - time.time()) < 60
    finally:
        stop.set()
        release.set()


def test_of_two_processes_one_does_a_job_at_a_time_and_once_an_interval(tmp_path: Path) -> None:
    database = rows.fresh(tmp_path)
    at_it: list[int] = []
    overlaps: list[int] = []

    def act(_turn: Turn) -> None:
        overlaps.append(len(at_it))
        at_it.append(1)
        time.sleep(0.02)
        at_it.pop()

    jobs = [Doing(act, interval=0.1) for _ in range(3)]
    begun = time.monotonic()
    stops = [running(database, job, owner=f"house-{number}") for number, job in enumerate(jobs)]
    wait_for(lambda: sum(job.turns for job in jobs) >= 6)
    turns = sum(job.turns for job in jobs)
    passed = time.monotonic() - begun
    for stop in stops:
        stop.set()
    assert set(overlaps) == {0}
    assert turns <= passed / 0.1 + 1


def test_a_job_that_hung_may_not_go_on_when_another_process_has_taken_it_over(tmp_path: Path) -> None:
    database, clock, reached = rows.fresh(tmp_path), HandClock(rows.NOW), []
    other = Doing(nothing)

    def hang(held: Turn) -> None:
        held.step()
        clock.sleep(LEASE_SECONDS + 1)
        expire(database)
        assert turn(database, other, owner="another") is not None
        held.step()
        reached.append("beyond the lease")

    assert turn(database, Doing(hang), owner="slow", clock=clock) is None
    assert (other.turns, reached) == (1, [])


def test_a_long_job_keeps_its_lease_by_going_on(tmp_path: Path) -> None:
    database, clock = rows.fresh(tmp_path), HandClock(rows.NOW)

    def work(held: Turn) -> None:
        for _ in range(5):
            clock.sleep(LEASE_SECONDS - 1)
            # What the database's clock would say by now, were it not for the last step.
            with database.write() as connection:
                connection.execute(update(t.lease).values(expires=t.lease.c.expires - (LEASE_SECONDS - 1)))
            held.step()
            assert turn(database, Doing(nothing), owner="another") is None

    assert turn(database, Doing(work, interval=0.0), owner="long", clock=clock) is not None


def test_a_process_that_is_to_end_leaves_its_job_to_another(tmp_path: Path) -> None:
    database, begun = rows.fresh(tmp_path), Event()
    left: list[str] = []

    def work(held: Turn) -> None:
        begun.set()
        try:
            while True:
                held.pause(0.01)
        except Stopped as reason:
            left.append(str(reason))
            raise

    stop = running(database, Doing(work))
    assert begun.wait(30)
    stop.set()
    wait_for(lambda: left == ["the process is to end"])
    wait_for(lambda: turn(database, Doing(nothing), owner="another") is not None)


def _hold(url: str, ready: object) -> None:
    database = Database(url)

    def act(_turn: Turn) -> None:
        ready.set()  # type: ignore[attr-defined]
        time.sleep(60)

    turn(database, Doing(act, name="held"), owner="killed")


def test_a_job_whose_process_was_killed_is_done_by_another_when_the_lease_ends(tmp_path: Path) -> None:
    database, context = rows.fresh(tmp_path), get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(database.url), ready))
    process.start()
    try:
        assert ready.wait(60)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.join(10)
    assert turn(database, Doing(nothing, name="held"), owner="another") is None
    expire(database)
    assert turn(database, Doing(nothing, name="held"), owner="another") is not None


def test_a_database_that_does_not_take_the_renewal_ends_the_turn(tmp_path: Path) -> None:
    database, clock = rows.fresh(tmp_path), HandClock(rows.NOW)

    def work(held: Turn) -> None:
        clock.sleep(20)
        with database.write() as connection:
            connection.execute(update(t.lease).values(fence=t.lease.c.fence + 1))
        held.step()

    assert turn(database, Doing(work), clock=clock) is None
    with database.read() as connection:
        # Nothing of the present holder's was taken away.
        assert leases.take(connection, "house:doing", "third", LEASE_SECONDS) is None


@pytest.mark.parametrize("interval, expected", [(0.0, True), (60.0, False), (3600.0, False)])
def test_a_job_is_held_until_it_is_due_again(tmp_path: Path, interval: float, expected: bool) -> None:
    database = rows.fresh(tmp_path)
    assert turn(database, Doing(nothing, interval=interval), owner="one") is not None
    assert (turn(database, Doing(nothing, interval=interval), owner="two") is not None) is expected
