"""What is due, as workers ask for it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import delete, update

from livia.core.report import HostFacts
from livia.store import hosts, leases, work
from livia.store import tables as t
from livia.store.engine import Database
from tests.database import fresh


def test_a_project_with_thousands_leaves_its_neighbours_a_place(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        for number in range(40):
            work.request(connection, f"many-{number:02}", project_id="many")
        work.request(connection, "one", project_id="one")
        work.request(connection, "urgent", project_id="many", priority=work.Priority.FAILOVER)
    with database.read() as connection:
        found = [entry.key for entry in work.due(connection, each=3, limit=10)]
    database.close()
    assert found[0] == "urgent"
    assert "one" in found
    assert len([key for key in found if key.startswith("many")]) == 3


def test_what_somebody_holds_is_not_due(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        for key in ("held", "free"):
            work.request(connection, key, project_id="p")
        assert leases.take(connection, "held", "somebody", 15.0) is not None
    with database.read() as connection:
        assert [entry.key for entry in work.due(connection, each=3, limit=10)] == ["free"]
    database.close()


def test_what_its_owner_could_not_let_go_of_is_due_for_the_owner(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        work.request(connection, "held", project_id="p")
        assert leases.take(connection, "held", "us", 15.0) is not None
    with database.read() as connection:
        assert work.due(connection, each=3, limit=10, owner="others") == []
        assert [entry.key for entry in work.due(connection, each=3, limit=10, owner="us")] == ["held"]
    database.close()


@pytest.mark.parametrize(("ahead", "found"), ((30.0, []), (3600.0, ["later"])))
def test_a_pause_that_nobody_asked_for_is_a_clock_that_was_set_back(
    tmp_path: Path, ahead: float, found: list[str]
) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        work.request(connection, "later", project_id="p")
        # As if it had been asked for by the clock of before.
        connection.execute(update(t.work).values(due=t.work.c.due + ahead))
    with database.read() as connection:
        assert [entry.key for entry in work.due(connection, each=3, limit=10)] == found
    database.close()


def test_a_dead_holder_is_followed_though_the_clock_was_set_back(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        work.request(connection, "held", project_id="p")
        assert leases.take(connection, "held", "dead", 15.0) is not None
        assert leases.take(connection, "held", "heir", 15.0) is None
        connection.execute(update(t.lease).values(expires=t.lease.c.expires + 3600.0))
        assert [entry.key for entry in work.due(connection, each=3, limit=10)] == ["held"]
        heir = leases.take(connection, "held", "heir", 15.0)
    database.close()
    assert heir is not None
    assert heir.fence == 2


def test_a_host_that_was_seen_in_the_future_does_not_count_as_alive(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    facts = HostFacts(address="127.0.0.1", agent_port=9443, amphorae=0, capacity=10)
    with database.write() as connection:
        hosts.seen(connection, "host", facts)
        connection.execute(update(t.amphora_host).values(last_seen=t.amphora_host.c.last_seen + 3600.0))
        ((_host, age),) = hosts.every(connection)
    database.close()
    assert age > 3500.0


def test_no_pause_is_longer_than_the_longest(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    with database.write() as connection:
        work.request(connection, "slow", project_id="p")
        work.again(connection, "slow", None, 3600.0, "a reason")
    with database.read() as connection:
        assert work.due(connection, each=3, limit=10) == []
        assert (work.next_due(connection) or 0.0) == pytest.approx(work.LONGEST_PAUSE, abs=5.0)
    database.close()


def test_what_was_spent_counts_until_the_oldest_change_is_confirmed(any_database: Database) -> None:
    def ask() -> None:
        any_database.transaction(lambda connection: work.request(connection, "key", project_id="p"))

    def spent() -> float:
        with any_database.read() as connection:
            entry = work.one(connection, "key")
        assert entry is not None
        return entry.spent

    ask()
    assert spent() == 0.0
    assert any_database.transaction(lambda connection: work.again(connection, "key", 1, 5.0, "why", took=90.0))
    assert spent() == 95.0
    ask()
    # It failed, and more was asked for meanwhile: that confirms nothing.
    assert not any_database.transaction(lambda connection: work.again(connection, "key", 1, 5.0, "why", took=4.0))
    assert spent() == 95.0
    any_database.transaction(lambda connection: work.spend(connection, "key", 4.0))
    assert spent() == 99.0
    # Only rests remain: what is asked for next is new.
    assert any_database.transaction(lambda connection: work.again(connection, "key", 2, 30.0, "why", settled=True))
    assert spent() == 0.0
    ask()
    assert any_database.transaction(lambda connection: work.again(connection, "key", 3, 3600.0, "why", took=1.0))
    assert spent() == 1.0 + work.LONGEST_PAUSE
    any_database.transaction(lambda connection: work.count_anew(connection, "key"))
    assert spent() == 0.0


def test_what_remains_goes_after_what_anybody_asks_for(any_database: Database) -> None:
    def ask(priority: work.Priority) -> None:
        any_database.transaction(lambda connection: work.request(connection, "key", project_id="p", priority=priority))

    def again(*, settled: bool) -> work.Due:
        any_database.transaction(
            lambda connection: work.again(connection, "key", None, 0.0, "why", took=7.0, settled=settled)
        )
        with any_database.read() as connection:
            entry = work.one(connection, "key")
        assert entry is not None
        return entry

    ask(work.Priority.FAILOVER)
    assert again(settled=False).priority == work.Priority.FAILOVER
    rest = again(settled=True)
    assert (rest.priority, rest.attempts, rest.spent) == (work.Priority.PERIODIC, 1, 0.0)
    assert again(settled=True).attempts == 2
    ask(work.Priority.USER)
    entry = again(settled=False)
    assert (entry.priority, entry.attempts, entry.spent) == (work.Priority.USER, 1, 7.0)


def test_one_of_many_who_want_a_key_at_once_gets_it(any_database: Database) -> None:
    many = 6
    ready = Barrier(many)

    def take(number: int) -> bool:
        with any_database.read() as connection:
            work.next_due(connection)
        ready.wait()
        return any_database.transaction(lambda at: leases.take(at, "key", f"owner-{number}", 15.0)) is not None

    for _round in range(3):
        with any_database.write() as connection:
            connection.execute(delete(t.lease))
        with ThreadPoolExecutor(many) as owners:
            assert sorted(owners.map(take, range(many))) == [False] * (many - 1) + [True]
