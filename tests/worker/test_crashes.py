"""Workers that end in the midst of a try: what the next one makes of it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, sleep

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from livia.core.drivers import Placement, Unreachable
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import events, leases, standing, work
from livia.store import tables as t
from livia.worker.attempt import Executors
from livia.worker.reconciler import Reconciler
from livia.worker.service import Worker
from tests.waiting import wait_for
from tests.worker.world import World

_DEADLINE = 60.0


class Agents(NoopAmphorae):
    """Agents that see what the load balancer shows when they are asked, and how many are asked at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Callable[[str], None] = lambda _key: None
        self.most = 0
        self._inside = 0
        self._lock = Lock()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        try:
            self.asked(assignment.spec.load_balancer_id)
            return super().apply(placement, assignment)
        finally:
            with self._lock:
                self._inside -= 1


class Site(World):
    """Load balancers that a worker was at when it was killed, and the next worker."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.agents = Agents()
        #: set at the end: what hangs waits for it
        self.answer = Event()
        self._worker: Worker | None = None
        self._thread: Thread | None = None

    def begin(self, *deserted: str) -> None:
        """A worker that knows of these owners that they died."""
        drivers = replace(self.drivers, amphorae=self.agents)
        self._worker = Worker(
            self.database,
            lambda pool: Reconciler(self.database, drivers, self.clock, pool, deadline=_DEADLINE),
            lambda seconds: Event().wait(min(seconds, 0.01)),
            NoWake(),
            owner="heir",
            deserted=lambda: deserted,
            deadline=_DEADLINE,
            metrics=self.metrics,
        )
        self._thread = Thread(target=self._worker.run)
        self._thread.start()

    def stop(self) -> None:
        """It ends what it is at, and takes nothing more."""
        if self._worker is not None:
            self._worker.stop()

    def join(self) -> None:
        """Wait for the worker's end."""
        if self._thread is not None:
            self._thread.join()

    def held(self, key: str, owner: str, seconds: float = 15.0) -> None:
        """As it is when `owner` is killed in the midst of it."""
        taken = self.database.transaction(lambda connection: leases.take(connection, key, owner, seconds))
        assert taken is not None

    def crash(self, key: str, times: int, spent: float = 0.0) -> None:
        """So often in a row, a while ago."""
        with self.database.write() as connection:
            for _time in range(times):
                work.crashed(connection, key)
            connection.execute(update(t.work).where(t.work.c.key == key).values(due=0.0, spent=spent))

    def row(self, key: str) -> work.Due | None:
        with self.database.read() as connection:
            return work.one(connection, key)

    def crashes(self, key: str) -> int:
        entry = self.row(key)
        assert entry is not None
        return entry.crashes

    def status(self, key: str) -> str:
        with self.database.read() as connection:
            query = select(t.load_balancer.c.provisioning_status).where(t.load_balancer.c.id == key)
            return str(connection.execute(query).scalar_one())

    def errors(self, key: str) -> list[str]:
        with self.database.read() as connection:
            told = [entry for entry, _when in events.of_load_balancer(connection, key)]
        return [entry.message for entry in told if entry.code == "load_balancer.error"]

    def counted(self) -> float | None:
        return self.registry.get_sample_value("livia_reconciles_crashed_total")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.stop()
    found.answer.set()
    found.join()
    found.database.close()


def taken_back(site: Site, key: str) -> None:
    site.held(key, "heir")
    site.begin()


def inherited(site: Site, key: str) -> None:
    site.held(key, "deserter")
    site.begin("deserter")


def taken_over(site: Site, key: str) -> None:
    site.held(key, "stopped", -1.0)
    site.begin()


@pytest.mark.parametrize("begin", [taken_back, inherited, taken_over])
def test_it_counts_as_a_try_and_delays_nothing_at_first(site: Site, begin: Callable[[Site, str], None]) -> None:
    key = site.load_balancer("SINGLE")
    seen: list[tuple[int, int]] = []

    def look(_key: str) -> None:
        entry = site.row(key)
        assert entry is not None
        seen.append((entry.attempts, entry.crashes))

    site.agents.asked = look
    begin(site, key)
    wait_for(lambda: site.row(key) is None)
    assert seen == [(1, 1)]
    assert site.counted() == 1.0
    assert (site.status(key), site.errors(key)) == ("ACTIVE", [])


@pytest.mark.parametrize("begin", [taken_back, inherited, taken_over])
def test_after_another_one_it_waits(site: Site, begin: Callable[[Site, str], None]) -> None:
    key = site.load_balancer("SINGLE")
    site.crash(key, 7)
    begin(site, key)
    other = site.load_balancer("SINGLE")
    wait_for(lambda: site.status(other) == "ACTIVE")
    with site.database.read() as connection:
        left = standing.of(connection, [key])[key]
    assert (left.worker, left.attempts) == (None, 8)
    assert left.reason == "its worker ended in the midst of it, 8 times in a row"
    assert 10.0 < left.due_in <= 30.0
    assert site.status(key) == "PENDING_CREATE"


def test_what_was_let_go_of_was_no_crash(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    site.held(key, "other")
    site.database.transaction(lambda connection: leases.release_all(connection, "other"))
    site.begin()
    wait_for(lambda: site.row(key) is None)
    assert site.counted() == 0.0


def test_of_those_that_may_be_guilty_one_is_tried_at_a_time(site: Site) -> None:
    site.agents.asked = lambda _key: sleep(0.2)
    suspects = [site.load_balancer("SINGLE", f"project-{number}") for number in range(4)]
    for key in suspects:
        site.crash(key, 2)
    site.begin()
    wait_for(lambda: all(site.status(key) == "ACTIVE" for key in suspects))
    assert site.agents.most == 1


def test_past_the_deadline_error_is_shown_before_another_worker_may_end(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    site.crash(key, 3, spent=_DEADLINE)
    seen: list[str] = []
    site.agents.asked = lambda key: seen.append(site.status(key))
    site.begin()
    wait_for(lambda: site.row(key) is None)
    assert seen == ["ERROR"]
    assert site.errors(key) == ["not done within 60 s: its worker ended in the midst of it, 3 times in a row"]
    # It was tried all the same.
    assert site.status(key) == "ACTIVE"


def test_one_that_happened_to_be_under_way_is_not_to_blame(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    site.crash(key, 1, spent=_DEADLINE)
    site.begin()
    wait_for(lambda: site.row(key) is None)
    assert (site.status(key), site.errors(key)) == ("ACTIVE", [])


def test_what_is_not_pending_shows_no_error(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    site.reconcile(key)
    site.crash(key, 3, spent=_DEADLINE)
    with site.database.write() as connection:
        connection.execute(update(t.lease).values(owner=None))
    site.begin()
    wait_for(lambda: site.row(key) is None)
    assert (site.status(key), site.errors(key)) == ("ACTIVE", [])


def test_what_is_being_deleted_says_so_once(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    with site.database.write() as connection:
        connection.execute(update(t.load_balancer).values(provisioning_status="PENDING_DELETE"))
    with ThreadPoolExecutor(1) as pool:
        executors = Executors(actions=pool, removals=pool)
        reconciler = Reconciler(site.database, site.drivers, site.clock, executors, deadline=_DEADLINE)
        for crashes in (8, 9):
            reconciler.fail_first(key, work.crash_reason(crashes), None)
    assert site.errors(key) == ["its worker ended in the midst of it, 8 times in a row"]
    assert site.status(key) == "PENDING_DELETE"


def test_what_renewals_prove_counts_before_the_try_ends_and_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livia.worker.service.LEASE_SECONDS", 0.9)
    key = site.load_balancer("SINGLE")

    def hang(_key: str) -> None:
        site.answer.wait()
        raise Unreachable("no route to host")

    def spent() -> float:
        entry = site.row(key)
        assert entry is not None
        return entry.spent

    site.agents.asked = hang
    begun = monotonic()
    site.begin()
    wait_for(lambda: spent() > 1.0, 20.0)
    site.stop()
    site.answer.set()
    site.join()
    # With the pause before the next try.
    assert spent() <= monotonic() - begun + 0.2
    entry = site.row(key)
    assert entry is not None
    assert (entry.attempts, entry.crashes) == (1, 0)


def test_who_lost_the_lease_settles_nothing(site: Site) -> None:
    key = site.load_balancer("SINGLE")
    asked = Event()

    def hang(_key: str) -> None:
        asked.set()
        site.answer.wait()

    site.agents.asked = hang
    site.begin()
    assert asked.wait(60.0)
    # As after SIGSTOP: somebody else goes on with it, and this worker does not know yet.
    with site.database.write() as connection:
        connection.execute(update(t.lease).values(owner="other", fence=t.lease.c.fence + 1))
        work.crashed(connection, key)
    site.stop()
    site.answer.set()
    site.join()
    assert site.status(key) == "ACTIVE"
    assert site.crashes(key) == 1
