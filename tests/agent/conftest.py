from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.lab import Lab
from tests.agent.site import Site


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose agent does not run yet. Nothing of it is left when the test ends, however it ends."""
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def running(lab: Lab) -> Lab:
    """A lab whose agent runs."""
    lab.start()
    return lab


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running lab that the tests of a module share."""
    lab = Lab(tmp_path_factory.mktemp("site"))
    try:
        lab.start()
        yield Site(lab)
    finally:
        lab.close()
