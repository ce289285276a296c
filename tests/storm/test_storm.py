"""No storm makes a health manager replace an amphora that lives, and none saves one that is dead.

A real manager in its own process, on a real database, hears 2,000 amphorae. `STORM_TIMEOUT=60` makes it the minutes of
a real installation; otherwise the timeout is 4 s, and everything else in proportion.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from sqlalchemy import make_url

from livia.store import tables as t
from livia.store.engine import Database
from tests.database import SERVERS, fresh, server_database
from tests.storm.fleet import Amphorae, replaced
from tests.storm.proxy import Proxy

TIMEOUT = float(os.environ.get("STORM_TIMEOUT", "4"))
COUNT = 2000
#: for a machine that does other things meanwhile, seconds
_SLACK = 30.0


class Storm(Struct):
    amphorae: Amphorae
    database: Database
    manager: subprocess.Popen[str]
    proxy: Proxy | None
    condemned: set[str]

    def kill_one(self) -> None:
        """One more amphora dies."""
        victim = next(each for each in reversed(self.amphorae.ids) if each not in self.condemned)
        self.condemned.add(victim)
        self.amphorae.dead.add(victim)

    def lose_host(self) -> None:
        """The first host goes with all its amphorae, and nobody answers there."""
        gone = set(self.amphorae.ids[:100])
        self.condemned |= gone
        self.amphorae.dead |= gone
        self.amphorae.lost |= gone

    def dead_within(self, seconds: float) -> None:
        """Every dead amphora is replaced by then, and nobody else is."""
        deadline = time.monotonic() + seconds + _SLACK
        while time.monotonic() < deadline and replaced(self.database) < self.condemned:
            time.sleep(TIMEOUT / 50)
        self.nobody_else()
        assert replaced(self.database) == self.condemned

    def nobody_else(self) -> None:
        assert replaced(self.database) <= self.condemned

    def pass_by(self, timeouts: float) -> None:
        """Let so many timeouts go by, in which no living amphora is replaced."""
        end = time.monotonic() + timeouts * TIMEOUT
        while time.monotonic() < end:
            self.nobody_else()
            time.sleep(TIMEOUT / 10)

    def guard_becomes(self, wanted: str) -> None:
        """Wait for a state of the manager's guard."""
        deadline = time.monotonic() + _SLACK
        while (found := self._guard()) != wanted:
            assert time.monotonic() < deadline, found
            time.sleep(TIMEOUT / 50)

    def _guard(self) -> str:
        assert self.manager.stdin is not None
        assert self.manager.stdout is not None
        self.manager.stdin.write("\n")
        self.manager.stdin.flush()
        return self.manager.stdout.readline().strip()


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    directory = tmp_path_factory.mktemp("storm")
    if SERVERS:
        with server_database(SERVERS[-1]) as database:
            t.metadata.create_all(database.engine)
            assert database.url.port is not None
            proxy = Proxy(database.url.port)
            yield from _life(database, proxy, directory)
            proxy.close()
    else:
        yield from _life(fresh(directory), None, directory)


def _life(database: Database, proxy: Proxy | None, directory: Path) -> Iterator[Storm]:
    url = make_url(database.url) if proxy is None else database.url.set(port=proxy.port)
    amphorae = Amphorae(COUNT, TIMEOUT / 5)
    amphorae.put_into(database)
    command = [sys.executable, "-m", "tests.storm.manager", url.render_as_string(hide_password=False)]
    with (directory / "log").open("w") as log:
        manager = subprocess.Popen(
            [*command, str(amphorae.second_path), str(TIMEOUT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert manager.stdout is not None
    amphorae.start(int(manager.stdout.readline()))
    try:
        yield Storm(amphorae, database, manager, proxy, set())
    finally:
        manager.communicate(timeout=120)
        amphorae.stop()
        database.close()
    assert manager.returncode == 0


def test_a_start_on_an_old_database_replaces_nobody(storm: Storm) -> None:
    storm.kill_one()
    storm.pass_by(1.0)
    storm.dead_within(TIMEOUT)
    storm.guard_becomes("ok")


def test_the_heartbeats_of_one_are_cut_in_a_burst_of_ten_thousand(storm: Storm) -> None:
    storm.kill_one()
    storm.amphorae.cut = set(storm.amphorae.ids[500:501])
    storm.amphorae.burst(10_000)
    storm.dead_within(1.5 * TIMEOUT)
    storm.amphorae.cut = set()


def test_a_host_is_lost(storm: Storm) -> None:
    storm.lose_host()
    storm.dead_within(1.5 * TIMEOUT)


def test_the_heartbeats_of_half_are_cut(storm: Storm) -> None:
    storm.amphorae.cut = set(storm.amphorae.ids[::2])
    storm.kill_one()
    storm.pass_by(1.3)
    # One of those that are cut.
    storm.dead_within(1.5 * TIMEOUT)
    storm.amphorae.cut = set()


def test_all_heartbeats_are_cut_and_then_the_second_path(storm: Storm) -> None:
    storm.amphorae.cut = set(storm.amphorae.ids)
    storm.kill_one()
    storm.dead_within(2 * TIMEOUT)
    storm.amphorae.apart = True
    storm.pass_by(1.0)
    storm.guard_becomes("network")
    # The last to die is not heard of before the paths are there again.
    storm.kill_one()
    storm.amphorae.apart, storm.amphorae.cut = False, set()
    storm.pass_by(0.5)
    storm.dead_within(1.5 * TIMEOUT)


def test_the_manager_is_stopped_for_longer_than_the_timeout(storm: Storm) -> None:
    storm.kill_one()
    storm.manager.send_signal(signal.SIGSTOP)
    time.sleep(1.2 * TIMEOUT)
    storm.manager.send_signal(signal.SIGCONT)
    storm.pass_by(0.5)
    storm.dead_within(1.5 * TIMEOUT)


def test_the_database_is_away_for_longer_than_the_timeout(storm: Storm) -> None:
    if storm.proxy is None:
        pytest.skip("no database server answers at its standard address: SQLite cannot be away")
    storm.kill_one()
    storm.proxy.cut()
    time.sleep(1.2 * TIMEOUT)
    storm.nobody_else()
    storm.proxy.mend()
    storm.pass_by(0.5)
    storm.dead_within(1.5 * TIMEOUT)
