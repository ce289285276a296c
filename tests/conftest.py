"""What every test run is told about the machine, the databases that its tests use in turn, and which tests may run side
by side."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from livia.store.engine import Database
from tests.database import ADDRESSES, SERVERS, Slates

# A busy machine is no failure.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_report_header() -> str:
    """Which databases the store is tested on here."""
    missing = [kind for kind in ADDRESSES if kind not in SERVERS]
    note = f"; not reachable at its standard local address: {', '.join(missing)}" if missing else ""
    return f"databases: sqlite, {', '.join(SERVERS)}{note}"


#: whole Livias take networks of the machine's: one at a time
_ONE_AT_A_TIME = ("system", "clients", "crash", "storm")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Which process of several gets which tests (pytest-xdist): by file, for what they share."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = _room
    return scheduler


def _room(node: str) -> str:
    return "whole Livias" if _whole(node) else node.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole Livias come first: one after the other they take longest."""
    items.sort(key=lambda item: _whole(item.nodeid), reverse=True)


def _whole(node: str) -> bool:
    return node.split("/")[1] in _ONE_AT_A_TIME


@pytest.fixture(scope="session")
def slates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slates]:
    """The databases of this run."""
    slates = Slates(tmp_path_factory.mktemp("slates"))
    yield slates
    slates.close()


@pytest.fixture(params=["sqlite", *SERVERS])
def any_database(request: pytest.FixtureRequest, slates: Slates) -> Database:
    """An empty database of every kind that answers here, with every table."""
    return slates.clean(request.param)
