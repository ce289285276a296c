"""The migrations lead to exactly the tables of `livia.store.tables`, on each database that is reachable."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from livia.store import schema, work
from livia.store.engine import Database
from livia.store.tables import metadata
from tests.database import SERVERS, server_database


@pytest.fixture(params=["sqlite", *SERVERS])
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path_factory.mktemp('db') / 'livia.db'}")
        yield database
        database.close()
    else:
        with server_database(request.param) as database:
            yield database


def test_migrations_make_the_tables(empty: Database) -> None:
    assert schema.upgrade(empty) is True
    assert schema.upgrade(empty) is False
    with empty.read() as connection:
        assert schema.current(connection) == schema.HEAD
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_unknown_and_foreign_schemas_are_refused(empty: Database) -> None:
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE load_balancer (id VARCHAR(36) PRIMARY KEY)"))
    with pytest.raises(schema.SchemaError, match="no version"):
        schema.upgrade(empty)
    with empty.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('fabf4983846b')"))
    with pytest.raises(schema.SchemaError, match="fabf4983846b"):
        schema.upgrade(empty)


def test_work_is_deduplicated_and_never_lost(empty: Database) -> None:
    schema.upgrade(empty)

    def ask() -> None:
        empty.transaction(lambda connection: work.request(connection, "key", project_id="p"))

    ask()
    ask()
    with empty.read() as connection:
        (entry,) = work.due(connection, 10, 10)
    ask()
    assert empty.transaction(lambda connection: work.done(connection, "key", entry.version)) is False
    with empty.read() as connection:
        (later,) = work.due(connection, 10, 10)
    assert empty.transaction(lambda connection: work.done(connection, "key", later.version)) is True
    with empty.read() as connection:
        assert work.due(connection, 10, 10) == []
        assert work.next_due(connection) is None
