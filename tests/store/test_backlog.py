"""What scrapes tell of the queue."""

from sqlalchemy import update

from livia.store import backlog, work
from livia.store.engine import Database, database_now
from livia.store.tables import work as rows
from livia.store.work import Priority
from tests.database import put_load_balancer


def test_what_waits_is_counted(any_database: Database) -> None:
    with any_database.read() as connection:
        assert backlog.read(connection) == backlog.Backlog(due={}, oldest=0.0, deferred=0, pending=0, age=0.0)
    pending = put_load_balancer(any_database)
    with any_database.write() as connection:
        work.request(connection, "failing", project_id="p", priority=Priority.FAILOVER)
        work.again(connection, "failing", None, 60.0, "later")
        work.request(connection, "urgent", project_id="p", priority=Priority.FAILOVER)
        connection.execute(
            update(rows).where(rows.c.key == pending).values(due=database_now() - 20.0, since=database_now() - 100.0)
        )
    with any_database.read() as connection:
        found = backlog.read(connection)
    assert found.due == {Priority.FAILOVER: 1, Priority.USER: 1}
    assert found.deferred == 1
    assert found.pending == 1
    assert 20.0 <= found.oldest < 30.0
    assert 100.0 <= found.age < 110.0


def test_what_nobody_named_follows_from_the_request_before(any_database: Database) -> None:
    def asked(request_id: str | None) -> str | None:
        any_database.transaction(
            lambda connection: work.request(connection, "key", project_id="p", request_id=request_id)
        )
        with any_database.read() as connection:
            entry = work.one(connection, "key")
        assert entry is not None
        return entry.request_id

    assert asked("req-1") == "req-1"
    assert asked(None) == "req-1"
    assert asked("req-2") == "req-2"
