"""A load balancer at which every worker dies: it shows ERROR and why, and all others become ACTIVE meanwhile."""

import multiprocessing
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select

from livia.store import events, standing
from livia.store import tables as t
from tests.worker import poisoned
from tests.worker.world import World

#: each life is a fork of a process that has everything imported, as the supervisor's are
_LIVES = multiprocessing.get_context("forkserver")
_LIVES.set_forkserver_preload(["tests.worker.poisoned"])

_WHY = re.compile(r"not done within 4 s: its worker ended in the midst of it, (\d) times in a row")


class Site(World):
    """A worker that is started again whenever it dies; nobody is guilty at first."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.seats = directory / "seats"
        self.seats.mkdir()
        self.blame("")
        self.deaths = 0
        self._over = Event()
        self._thread = Thread(target=self._supervise)

    def begin(self) -> None:
        self._thread.start()

    def blame(self, key: str) -> None:
        (self.seats / "guilty").write_text(key)

    def _supervise(self) -> None:
        while not self._over.is_set():
            life = _LIVES.Process(target=poisoned.live, args=(str(self.database.url), self.seats))
            life.start()
            while life.is_alive() and not self._over.is_set():
                life.join(0.05)
            if self._over.is_set():
                life.kill()
            else:
                assert life.exitcode == -signal.SIGKILL, f"exit status {life.exitcode}; its words are above"
                self.deaths += 1
            life.join()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.database.close()

    def statuses(self) -> dict[str, str]:
        with self.database.read() as connection:
            rows = connection.execute(select(t.load_balancer.c.id, t.load_balancer.c.provisioning_status))
            return {row.id: row.provisioning_status for row in rows}

    def wait_for(self, statuses: dict[str, str], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while (seen := self.statuses()) != statuses:
            assert time.monotonic() < deadline, seen
            time.sleep(0.02)

    def errors(self, key: str) -> list[str]:
        with self.database.read() as connection:
            told = [entry for entry, _when in events.of_load_balancer(connection, key)]
        return [entry.message for entry in told if entry.code == "load_balancer.error"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    try:
        yield found
    finally:
        found.close()


def test_one_at_which_every_worker_dies_shows_error_and_others_become_active(site: Site) -> None:
    guilty = site.load_balancer("SINGLE")
    site.blame(guilty)
    # They are begun together with it, and take longer than it takes to kill.
    innocent = [site.load_balancer("SINGLE", f"other-{number % 2}") for number in range(4)]
    site.begin()
    deadline = time.monotonic() + 60.0
    while site.statuses()[guilty] != "ERROR":
        assert time.monotonic() < deadline
        innocent.append(site.load_balancer("SINGLE", "late"))
        time.sleep(0.5)
    (reason,) = site.errors(guilty)
    told = _WHY.fullmatch(reason)
    assert told is not None, reason
    # Pauses of 0.8, 1.6 and 3.2 s: few lives, and then none for 6.4 s.
    assert int(told[1]) in (3, 4)
    site.wait_for(dict.fromkeys(innocent, "ACTIVE") | {guilty: "ERROR"})
    assert site.deaths <= 6
    assert [site.errors(key) for key in innocent] == [[]] * len(innocent)
    with site.database.read() as connection:
        left = standing.of(connection, [guilty])[guilty]
    assert re.fullmatch(r"its worker ended in the midst of it, [45] times in a row", str(left.reason))
    # It is tried all the same: what was the matter with it may be mended.
    site.blame("")
    site.wait_for(dict.fromkeys([*innocent, guilty], "ACTIVE"))
    assert len(site.errors(guilty)) == 1
