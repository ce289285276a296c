"""Units: whatever a thread does with the database is kept or rolled back as a whole, on each reachable database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from livia.store.engine import Database
from tests.database import SERVERS, server_database


@pytest.fixture(params=["sqlite", *SERVERS])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with a table of numbers."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'livia.db'}", durable=False)
        _create(database)
        yield database
        database.close()
        return
    with server_database(request.param) as database:
        _create(database)
        yield database


def _create(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (id INTEGER PRIMARY KEY, times INTEGER NOT NULL)"))


def _add(database: Database, number: int) -> None:
    database.transaction(
        lambda connection: connection.execute(text("INSERT INTO counted VALUES (:id, 0)"), {"id": number})
    )


def _seen(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT id FROM counted ORDER BY id")).scalars())


def _seen_by_others(database: Database) -> list[int]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_seen, database).result()


class _Stop(Exception):
    pass


def test_a_unit_is_committed_at_its_end(database: Database) -> None:
    told: list[str] = []

    def act() -> str:
        database.after_commit(lambda: told.append("committed"))
        with database.undoing(lambda: told.append("undone")):
            _add(database, 1)
        with database.write() as connection:
            connection.execute(text("INSERT INTO counted VALUES (2, 0)"))
        assert _seen(database) == [1, 2]
        assert _seen_by_others(database) == []
        with database.apart():
            assert _seen(database) == []
        assert told == []
        return "result"

    assert database.together(act) == "result"
    assert _seen(database) == [1, 2]
    assert told == ["committed"]


@pytest.mark.parametrize("raising", [True, False])
def test_a_unit_is_rolled_back_as_a_whole(database: Database, raising: bool) -> None:
    told: list[str] = []

    def act() -> None:
        database.after_commit(lambda: told.append("committed"))
        for number in (1, 2):
            with database.undoing(lambda number=number: told.append(f"{number} undone")):  # type: ignore[misc]
                _add(database, number)
        if raising:
            raise _Stop

    with suppress(_Stop):
        database.together(act, keep=False)
    assert _seen(database) == []
    assert told == ["2 undone", "1 undone"]
    _add(database, 1)
    assert _seen(database) == [1]


def test_a_part_that_fails_is_rolled_back_alone(database: Database) -> None:
    _add(database, 1)

    def both(connection: Connection) -> None:
        connection.execute(text("INSERT INTO counted VALUES (2, 0)"))
        connection.execute(text("INSERT INTO counted VALUES (1, 0)"))

    def act() -> None:
        with pytest.raises(IntegrityError):
            database.transaction(both)
        _add(database, 3)

    database.together(act)
    assert _seen(database) == [1, 3]


def test_without_a_unit_effects_come_at_once(database: Database) -> None:
    told: list[str] = []
    database.after_commit(lambda: told.append("committed"))
    with database.undoing(lambda: told.append("wrong")):
        _add(database, 1)
    with pytest.raises(IntegrityError), database.undoing(lambda: told.append("undone")):
        _add(database, 1)
    assert told == ["committed", "undone"]


def test_nothing_is_locked_before_the_first_write(database: Database) -> None:
    def act() -> list[int]:
        assert _seen(database) == []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_add, database, 1).result(timeout=10)
        return _seen(database)

    assert database.together(act) == [1]


class _Deadlock(Exception):
    """What a driver raises; the number is MySQL's, `sqlstate` PostgreSQL's."""

    sqlstate = "40P01"


def test_a_lost_race_begins_the_unit_again(database: Database) -> None:
    told: list[str] = []
    attempts: list[int] = []

    def act() -> None:
        attempts.append(len(attempts))
        database.after_commit(lambda: told.append(f"committed {attempts[-1]}"))
        with database.undoing(lambda: told.append(f"undone {attempts[-1]}")):
            _add(database, 10 + attempts[-1])
        if len(attempts) < 3:
            database.transaction(_lose)

    def _lose(connection: Connection) -> None:
        raise OperationalError("UPDATE", {}, _Deadlock(1213, "Deadlock found"))

    database.together(act)
    assert told == ["undone 0", "undone 1", "committed 2"]
    assert _seen(database) == [12]


def test_units_that_block_each_other_are_both_done(database: Database) -> None:
    """Two units change the same rows in opposite order: SQLite lets one wait, a server ends one, which begins again."""
    _add(database, 1)
    _add(database, 2)
    barrier = Barrier(2)

    def change(first: int, second: int) -> None:
        attempts: list[int] = []

        def count(connection: Connection, number: int) -> None:
            connection.execute(text("UPDATE counted SET times = times + 1 WHERE id = :id"), {"id": number})

        def act() -> None:
            attempts.append(1)
            database.transaction(lambda connection: count(connection, first))
            if len(attempts) == 1 and database.url.get_backend_name() != "sqlite":
                barrier.wait(timeout=10)
            database.transaction(lambda connection: count(connection, second))

        database.together(act)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(change, 1, 2), pool.submit(change, 2, 1)]:
            done.result(timeout=60)
    with database.read() as connection:
        assert list(connection.execute(text("SELECT times FROM counted")).scalars()) == [2, 2]
