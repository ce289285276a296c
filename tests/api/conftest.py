"""Fixtures: an application on a fresh database."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from livia.store import tables as t
from livia.store.engine import Database
from tests.api.harness import Harness, Tree
from tests.database import SERVERS, server_database

MakeHarness = Callable[..., Harness]


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table, to copy from."""
    path = tmp_path_factory.mktemp("empty") / "livia.db"
    database = Database(f"sqlite:///{path}", durable=False)
    t.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.close()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh SQLite database."""
    path = tmp_path / "livia.db"
    shutil.copy(empty_database, path)
    database = Database(f"sqlite:///{path}", durable=False)
    yield database
    database.close()


@pytest.fixture
def harness(database: Database) -> Harness:
    """The application with default settings."""
    return Harness(database)


@pytest.fixture
def make(database: Database) -> MakeHarness:
    """Makes the application with other settings, on the same database."""

    def make(**options: Any) -> Harness:
        return Harness(database, **options)

    return make


@pytest.fixture
def tree(harness: Harness) -> Tree:
    """One of everything, ACTIVE, in `harness`."""
    return harness.tree()


@pytest.fixture(params=["sqlite", *SERVERS])
def anywhere(request: pytest.FixtureRequest, empty_database: Path, tmp_path: Path) -> Iterator[Harness]:
    """The application on every kind of database that answers here."""
    if request.param == "sqlite":
        path = tmp_path / "livia.db"
        shutil.copy(empty_database, path)
        database = Database(f"sqlite:///{path}", durable=False)
        yield Harness(database)
        database.close()
        return
    with server_database(request.param) as database:
        t.metadata.create_all(database.engine, checkfirst=False)
        yield Harness(database)
