"""The running system of the system tests, for clients that others wrote."""

from collections.abc import Iterator

import pytest

from tests.system.conftest import System, make_system


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    """One system for all tests of a module."""
    yield from make_system()
