from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.lab import Lab


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
