"""Authorities are rolled over while there are controllers whose files the house does not see."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from livia.drivers.amphora.agent import Agents, AgentTls
from livia.pki.authority import write_private
from livia.pki.rollover import Rollover
from tests.house.site import DAY, HOUR, Site
from tests.house.turns import HandClock


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


class Elsewhere:
    """A controller on another machine: it has copies of the controllers' certificate and of the authorities."""

    def __init__(self, site: Site, directory: Path) -> None:
        directory.mkdir()
        self.site, self.certificate, self.server_ca = site, directory / "client.pem", directory / "server_ca.pem"
        self.copy()

    def copy(self) -> None:
        """What a timer on its machine does."""
        write_private(self.certificate, self.site.controller.read_bytes())
        write_private(self.server_ca, self.site.agents_ca.trust_path.read_bytes())

    def talk(self) -> None:
        """It reaches every agent over connections of its own."""
        driver = Agents(AgentTls(certificate=self.certificate, server_ca=self.server_ca))
        for host in self.site.hosts:
            assert driver.observe(host.placement, "nobody") is None


def test_controllers_on_other_machines_have_as_long_again_to_copy_what_was_renewed(site: Site, tmp_path: Path) -> None:
    elsewhere = Elsewhere(site, tmp_path / "elsewhere")
    site.agents_ca.begin()
    site.controllers_ca.begin()
    site.work()
    for said in ("signs from now on", "The controllers' certificate was renewed"):
        # It copies once between any two turns, as late as it can, and meets each turn with files of the one before.
        elsewhere.copy()
        site.clock.sleep(HOUR)
        assert said in site.work()
        elsewhere.talk()
    # The house and its machine start again meanwhile, more than once.
    for pause in (HOUR / 2, HOUR / 2 - 10.0):
        site.clock.sleep(pause)
        site.agents_ca = Rollover(tmp_path / "pki" / "agents", "agents", site.clock)
        site.controllers_ca = Rollover(tmp_path / "pki" / "controllers", "controllers", site.clock)
        assert "is trusted no more" not in site.work()
        elsewhere.talk()
    elsewhere.copy()
    site.clock.sleep(10.0)
    assert site.work().count("is trusted no more") == 2
    elsewhere.talk()
    assert "has new credentials: other authorities are trusted." in site.work()
    elsewhere.talk()


def test_an_authority_that_is_used_again_is_trusted_for_as_long_again(tmp_path: Path) -> None:
    clock = HandClock(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))
    rollover = Rollover(tmp_path / "agents", "agents", clock)
    rollover.open()
    rollover.begin()
    rollover.promote()
    assert rollover.note_use(used=False) == timedelta(0)
    clock.sleep(HOUR)
    assert rollover.note_use(used=False) == timedelta(hours=1)
    assert rollover.note_use(used=True) == timedelta(0)
    clock.sleep(HOUR)
    assert rollover.note_use(used=False) == timedelta(0)
    clock.sleep(-30 * DAY)
    assert rollover.note_use(used=False) == timedelta(0), "a clock that was set back holds nothing up"
    clock.sleep(HOUR)
    assert rollover.note_use(used=False) == timedelta(hours=1)
    rollover.drop()
    rollover.begin()
    rollover.promote()
    assert rollover.note_use(used=False) == timedelta(0), "what was noted of another authority is no time of this one"
