"""What every transaction may rely on, on each database that is reachable."""

import sqlite3
import time
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from livia.store.engine import Database
from tests.database import SERVERS, server_database


@pytest.mark.parametrize("kind", SERVERS)
def test_a_transaction_sees_what_others_committed_meanwhile(kind: str) -> None:
    with server_database(kind) as database:
        with database.write() as connection:
            connection.execute(text("CREATE TABLE counted (id INTEGER PRIMARY KEY)"))
        # A connection that was used for reading comes back from the pool for the transaction.
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM counted")).scalar_one() == 0
        with database.write() as early:
            assert early.execute(text("SELECT count(*) FROM counted")).scalar_one() == 0
            with database.write() as other:
                other.execute(text("INSERT INTO counted VALUES (1)"))
            assert early.execute(text("SELECT count(*) FROM counted")).scalar_one() == 1


_OWN_ID = {"postgresql": "pg_backend_pid()", "mariadb": "CONNECTION_ID()"}
_END = {"postgresql": "SELECT pg_terminate_backend({}, 5000)", "mariadb": "KILL {}"}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_connection_that_the_server_closed_while_it_rested_is_replaced(kind: str) -> None:
    query = text(f"SELECT {_OWN_ID[kind]}")
    with server_database(kind) as killer:
        database = Database(killer.url, rest=0.0)
        for borrow in (database.read, database.write):
            with borrow() as connection:
                doomed = connection.execute(query).scalar_one()
            with borrow() as connection:
                assert connection.execute(query).scalar_one() == doomed
            with killer.read() as connection:
                connection.execute(text(_END[kind].format(doomed)))
            with borrow() as connection:
                assert connection.execute(query).scalar_one() != doomed
        database.close()


def test_connections_to_a_file_are_lent_as_they_are(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'livia.db'}")
    with database.read() as first, database.read() as second:
        assert first is not second
    for borrow in (database.read, database.write):
        with borrow() as again:
            assert again in (first, second)
    database.close()
    with database.read() as another:
        assert another not in (first, second)
        assert first.closed
        assert second.closed
    database.close()


def test_a_connection_to_a_file_comes_back_without_what_was_not_committed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'livia.db'}")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY)"))
    used = []

    def half_done(connection: Connection) -> None:
        used.append(connection)
        connection.execute(text("INSERT INTO one VALUES (1)"))
        connection.execute(text("INSERT INTO one VALUES (1)"))

    with pytest.raises(IntegrityError):
        database.transaction(half_done)
    with database.write() as again:
        assert again is used[0]
        assert again.execute(text("SELECT count(*) FROM one")).scalar_one() == 0
        again.execute(text("INSERT INTO one VALUES (2)"))
    with database.read() as reading:
        assert reading.execute(text("SELECT id FROM one")).scalars().all() == [2]
    database.close()


def test_who_waits_for_another_process_writes_soon_after_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'livia.db'}", durable=False)
    # Not through a `Database`: its writers would wait in the line of this process.
    other = sqlite3.connect(tmp_path / "livia.db", isolation_level=None, check_same_thread=False)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counted (id INTEGER PRIMARY KEY)"))
    told: list[str] = []
    database.on_error(told.append)
    ended = [0.0]

    def end() -> None:
        ended[0] = time.monotonic()
        other.execute("COMMIT")

    waits: list[float] = []
    # SQLite itself would look 228 and 328 ms after the first time. Once is enough: the machine may be slow.
    while len(waits) < 20 and min(waits, default=1.0) > 0.02:
        other.execute("BEGIN IMMEDIATE")
        ending = Timer(0.25, end)
        ending.start()
        with database.write() as connection:
            waits.append(time.monotonic() - ended[0])
            connection.execute(text(f"INSERT INTO counted VALUES ({len(waits)})"))
        ending.join()
    other.close()
    database.close()
    assert min(waits) <= 0.02, waits
    assert told == []


def test_errors_are_told_once_by_kind(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'livia.db'}")
    told: list[str] = []
    database.on_error(told.append)
    with database.read() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT * FROM nothing"))
    with database.write() as connection:
        connection.execute(text("CREATE TABLE one (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO one VALUES (1)"))
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(text("INSERT INTO one VALUES (1)"))
    with pytest.raises(OperationalError), database.write() as connection:
        connection.execute(text("SELECT * FROM nothing"))
    assert told == ["other", "other"]
    database.close()


_SLEEP = {"postgresql": "SELECT pg_sleep(20)", "mariadb": "SELECT SLEEP(20)"}


@pytest.mark.parametrize("kind", SERVERS)
def test_an_answer_that_does_not_come_is_not_waited_for(kind: str) -> None:
    with server_database(kind) as there:
        database = Database(there.url, patience=1)
        began = time.monotonic()
        for opened in (database.read, database.write):
            with pytest.raises(OperationalError), opened() as connection:
                connection.execute(text(_SLEEP[kind]))
        assert time.monotonic() - began < 20
        with database.read() as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        database.close()
