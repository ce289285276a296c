"""A scene on each kind of database."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from livia.store import tables as t
from livia.store.engine import Database
from tests.database import SERVERS, fresh, server_database
from tests.health.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    database = fresh(tmp_path)
    yield Scene(database)
    database.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, Database]]:
    """A database on each server with every table: making them takes longer than the tests."""
    with ExitStack() as stack:
        found = {kind: stack.enter_context(server_database(kind)) for kind in SERVERS}
        for database in found.values():
            t.metadata.create_all(database.engine)
        yield found


@pytest.fixture(params=["sqlite", *SERVERS])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path, servers: dict[str, Database]) -> Iterator[Scene]:
    """The scene on every kind of database."""
    if request.param == "sqlite":
        database = fresh(tmp_path)
        yield Scene(database)
        database.close()
        return
    database = servers[request.param]
    yield Scene(database)
    with database.write() as connection:
        for table in reversed(t.metadata.sorted_tables):
            connection.execute(table.delete())
