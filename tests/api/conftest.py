"""Fixtures: an application on a fresh database."""

from collections.abc import Callable
from typing import Any

import pytest

from livia.store.engine import Database
from tests.api.harness import Harness, Tree
from tests.database import Slates

MakeHarness = Callable[..., Harness]


@pytest.fixture
def database(slates: Slates) -> Database:
    """An empty SQLite database."""
    return slates.clean("sqlite")


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


@pytest.fixture
def anywhere(any_database: Database) -> Harness:
    """The application on every kind of database that answers here."""
    return Harness(any_database)
