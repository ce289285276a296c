"""One installation for every module of this directory, each of which makes load balancers of its own."""

from collections.abc import Iterator

import pytest

from tests.system.attributes.site import Site
from tests.system.conftest import System, make_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    yield from make_system()


@pytest.fixture(scope="package")
def site(system: System) -> Iterator[Site]:
    made = Site(system)
    try:
        yield made
    finally:
        made.close()
