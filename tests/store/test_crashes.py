"""Tries whose worker ended in their midst: how often, what they count, and what makes them forgotten."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, update

from livia.core.clock import SystemClock
from livia.services.retry import retry
from livia.store import leases, standing, work
from livia.store import tables as t
from livia.store.engine import Database
from tests.database import put_load_balancer

_FAR = 1_000_000.0


class Row:
    """One key's row of work."""

    def __init__(self, database: Database, key: str = "key") -> None:
        self.database = database
        self.key = key

    def ask(self) -> None:
        self.database.transaction(lambda connection: work.request(connection, self.key, project_id="p"))

    def crash(self, times: int = 1) -> None:
        for _time in range(times):
            self.database.transaction(lambda connection: work.crashed(connection, self.key))

    @property
    def due(self) -> work.Due:
        with self.database.read() as connection:
            entry = work.one(connection, self.key)
        assert entry is not None
        return entry

    @property
    def reason(self) -> str | None:
        with self.database.read() as connection:
            return standing.of(connection, [self.key])[self.key].reason


@pytest.fixture
def row(any_database: Database) -> Row:
    row = Row(any_database)
    row.ask()
    return row


def test_the_first_delays_nothing_and_later_ones_ever_more(row: Row) -> None:
    row.crash()
    once = row.due
    assert (once.attempts, once.crashes, once.spent, once.suspect) == (1, 1, 0.0, False)
    assert once.late >= 0.0
    assert row.reason == "its worker ended in the midst of it"
    pauses = []
    for crashes in range(2, 12):
        before = row.due
        row.crash()
        after = row.due
        assert (after.attempts, after.crashes, after.suspect) == (crashes, crashes, True)
        assert row.reason == f"its worker ended in the midst of it, {crashes} times in a row"
        pauses.append(after.spent - before.spent)
        # It waits for as long as it counts: to the rounding of seconds since 1970, and the machine may be slow.
        assert -0.001 <= after.late + pauses[-1] < 5.0
    assert pauses == pytest.approx([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0, 30.0, 30.0])


def test_no_work_no_crash(row: Row) -> None:
    assert row.database.transaction(lambda connection: work.done(connection, "key", 1))
    row.crash()
    with row.database.read() as connection:
        assert work.one(connection, "key") is None


def ends_well(connection: Connection) -> None:
    assert work.again(connection, "key", 1, 5.0, "a far side is not ready")


def ends_while_more_is_asked_for(connection: Connection) -> None:
    work.spend(connection, "key", 5.0)


def is_confirmed(connection: Connection) -> None:
    work.count_anew(connection, "key")


@pytest.mark.parametrize("end", [ends_well, ends_while_more_is_asked_for, is_confirmed])
def test_any_try_that_comes_to_an_end_makes_them_forgotten(row: Row, end: Callable[[Connection], None]) -> None:
    row.crash(times=5)
    row.database.transaction(end)
    assert row.due.crashes == 0


def test_asking_again_does_not_shorten_the_pause_of_what_workers_end_at(row: Row) -> None:
    row.crash()
    row.ask()
    assert (row.due.attempts, row.due.crashes) == (0, 1)
    row.crash(times=8)
    row.ask()
    asked = row.due
    assert (asked.attempts, asked.crashes) == (0, 9)
    assert asked.late < -20.0


def test_an_operator_need_not_wait_for_the_pause(any_database: Database) -> None:
    row = Row(any_database, put_load_balancer(any_database))
    row.crash(times=9)
    assert row.due.late < -20.0
    said = retry(any_database, SystemClock(), row.key)
    assert "It waits for: its worker ended in the midst of it, 9 times in a row." in said
    tried = row.due
    assert (tried.attempts, tried.crashes, tried.spent) == (0, 0, 0.0)
    assert tried.late >= 0.0


def test_what_a_try_is_known_to_have_taken_counts(row: Row) -> None:
    row.database.transaction(lambda connection: work.goes_on(connection, "key", 7.0))
    row.crash()
    assert row.due.spent == 7.0


def test_rests_are_late_for_nothing(row: Row) -> None:
    assert row.database.transaction(lambda connection: work.again(connection, "key", 1, 0.0, "why", settled=True))
    row.crash(times=9)
    row.database.transaction(lambda connection: work.goes_on(connection, "key", 7.0))
    rest = row.due
    assert (rest.crashes, rest.spent) == (9, 0.0)
    assert rest.late < -20.0


def test_a_lease_tells_whom_it_was_taken_from(any_database: Database) -> None:
    def take(owner: str) -> str | None:
        taken = any_database.transaction(lambda connection: leases.take(connection, "key", owner, 15.0))
        assert taken is not None
        return taken.deserter

    def expire() -> None:
        with any_database.write() as connection:
            connection.execute(update(t.lease).values(expires=t.lease.c.expires - _FAR))

    assert take("first") is None
    # The same process, which could not let go of it.
    assert take("first") is None
    expire()
    assert take("second") == "first"
    assert any_database.transaction(lambda connection: leases.release_all(connection, "second")) == ["key"]
    assert any_database.transaction(lambda connection: leases.release_all(connection, "second")) == []
    assert take("third") is None
