"""What `livia retry` does to the queue, and what it says."""

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection, select, update

from livia.drivers.compute.host import Hosts
from livia.ops import status
from livia.services.context import Refused
from livia.services.retry import retry
from livia.store import events, leases, standing, trees, work
from livia.store import tables as t
from livia.worker.outcome import Failed
from tests.worker.world import World


class Site(World):
    """A load balancer that found no host until its deadline, and is to be tried again after a long pause."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.key = self.load_balancer("SINGLE")
        outcome = self.attempt(self.key, spent=301.0, compute=Hosts(self.database, silence=60.0))
        assert isinstance(outcome, Failed)
        self.reason = outcome.reason
        with self.database.write() as connection:
            for _attempt in range(3):
                work.again(connection, self.key, None, 30.0, outcome.reason)
            connection.execute(update(t.lease).values(expires=0.0))

    def retry(self, object_id: str) -> str:
        return retry(self.database, self.clock, object_id)

    def due(self) -> list[str]:
        with self.database.read() as connection:
            return [entry.key for entry in work.due(connection, 10, 10)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_failed_load_balancer_is_tried_at_once(site: Site) -> None:
    assert site.due() == []
    said = site.retry(site.key)
    assert said.startswith(f"Load Balancer {site.key} is ERROR. It was tried 3 times, and would have been again in ")
    assert site.reason.rstrip(".") in said
    assert site.due() == [site.key]
    with site.database.read() as connection:
        assert standing.of(connection, [site.key])[site.key].attempts == 0
        (last, _when) = events.of_load_balancer(connection, site.key)[-1]
    assert last.code == "load_balancer.retry"
    assert last.request_id is not None
    assert last.request_id in said
    site.reconcile(site.key)
    with site.database.read() as connection:
        tree = trees.load(connection, site.key)
    assert tree is not None
    assert tree.load_balancer.provisioning_status == "ACTIVE"


def test_any_part_of_it_will_do(site: Site) -> None:
    with site.database.read() as connection:
        tree = trees.load(connection, site.key)
    assert tree is not None
    for part in (tree.listeners[0].id, tree.pools[0].id, tree.pools[0].members[0].id, tree.amphorae[0].id):
        site.database.transaction(lambda connection: work.again(connection, site.key, None, 30.0, "a reason"))
        assert f"{part} belongs to Load Balancer {site.key}, which is ERROR" in site.retry(part)
        assert site.due() == [site.key]


def test_whoever_is_at_it_is_named(site: Site) -> None:
    site.database.transaction(lambda connection: leases.take(connection, site.key, "worker@far", 15.0))
    assert "worker@far is at it now, and looks at it once more when it ends." in site.retry(site.key)


@pytest.mark.parametrize("unknown", ["", "nothing", "00000000-0000-0000-0000-000000000000"])
def test_what_is_not_there_is_refused(site: Site, unknown: str) -> None:
    with pytest.raises(Refused, match="Nothing here has the id"):
        site.retry(unknown)


def test_what_is_done_or_anothers_is_refused(site: Site) -> None:
    site.reconcile(site.key)
    site.database.transaction(lambda connection: work.done(connection, site.key, 1))
    with pytest.raises(Refused, match="is ACTIVE and nothing is left to do"):
        site.retry(site.key)
    site.database.transaction(lambda connection: connection.execute(update(t.load_balancer).values(provider="acme")))
    with pytest.raises(Refused, match="of the provider acme, whose own driver"):
        site.retry(site.key)
    assert site.due() == []


def shown(site: Site) -> list[str]:
    """The line of the load balancer in `livia status`."""
    printed = StringIO()
    console = Console(width=400, file=printed)
    with site.database.read() as connection:
        status.show_load_balancers(connection, console)
    (line,) = [line for line in printed.getvalue().splitlines() if site.key in line]
    return [cell.strip() for cell in line.split("│")]


def test_status_says_of_rests_that_nothing_is_pending(site: Site) -> None:
    reason = "an amphora that is to go does not answer"
    site.database.transaction(lambda connection: work.again(connection, site.key, None, 20.0, reason, settled=True))
    cells = shown(site)
    before_the_next_try = cells[cells.index(reason) - 2 :]
    assert before_the_next_try[0] == "-"
    assert before_the_next_try[1].startswith("in ")


def test_status_says_what_is_pending_why_and_until_when(site: Site) -> None:
    site.database.transaction(
        lambda connection: connection.execute(update(t.pool).values(provisioning_status="PENDING_UPDATE"))
    )
    cells = shown(site)
    # The reconcile before took seconds on a busy machine.
    assert any(re.fullmatch(r"1 pool, for \d+ s", cell) for cell in cells), cells
    assert any(re.match(r"in [123]\d s \(number ", cell) for cell in cells), cells
    assert site.reason in cells


def test_status_says_that_workers_end_at_it_and_how_often(site: Site) -> None:
    for _time in range(5):
        site.database.transaction(lambda connection: work.crashed(connection, site.key))
    cells = shown(site)
    assert "its worker ended in the midst of it, 5 times in a row" in cells
    assert any(re.fullmatch(r"in \d s \(number 9\)", cell) for cell in cells), cells


def test_an_amphora_that_is_nobodys_need_not_wait_for_its_pause(site: Site) -> None:
    with site.database.write() as connection:
        connection.execute(update(t.amphora).values(load_balancer_id=None, status="PENDING_DELETE"))
        orphan = str(connection.execute(select(t.amphora.c.id)).scalar_one())
        work.request(connection, orphan, project_id=None)
        for _time in range(9):
            work.crashed(connection, orphan)
    assert site.due() == []
    said = site.retry(orphan)
    assert "9 times in a row" in said
    assert site.due() == [orphan]
    with site.database.read() as connection:
        asked = work.one(connection, orphan)
    assert asked is not None
    # By this id the logs tell what became of it.
    assert said.endswith(f"(request {asked.request_id})")
    assert asked.request_id is not None


@pytest.mark.parametrize("at_it, waits_for", [(False, "a worker"), (True, "the end of its first try")])
def test_status_says_whether_anybody_is_at_what_has_no_reason_yet(site: Site, at_it: bool, waits_for: str) -> None:
    def begin(connection: Connection) -> None:
        connection.execute(update(t.work).values(reason=None))
        if at_it:
            assert leases.take(connection, site.key, "worker-1", 60.0)

    site.database.transaction(begin)
    cells = shown(site)
    assert waits_for in cells
    assert ("now, by worker-1" in cells) is at_it
