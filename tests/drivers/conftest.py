"""Drivers that keep rows are tested on every database too."""

from tests.api.conftest import anywhere as anywhere
