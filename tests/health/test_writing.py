"""Statuses and counters that are written of what was heard, on every kind of database."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import event

from livia.core.plan.placement import Wanted, choose
from livia.core.report import Heartbeat, HostFacts, ListenerCounters, ListenerReport, ListenerTotals
from livia.health.fleet import Fleet
from livia.store import amphorae, hosts, work
from livia.store import tables as t
from livia.store.removal import drop
from tests import database as rows
from tests.health.scene import TIMEOUT, Scene


def test_statuses_follow_the_report(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1", member="no check")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "NO_MONITOR")
    scene.beat("a1", member="UP 1/3")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")
    scene.beat("a1", member="DOWN 1/2")
    assert scene.statuses() == ("DEGRADED", "ONLINE", "DEGRADED", "ERROR")
    scene.beat("a1", member="DOWN", pool="DOWN")
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")
    scene.beat("a1", member="DRAIN")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "DRAINING")
    scene.beat("a1", member="MAINT")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "OFFLINE")


def test_the_amphora_with_the_vip_decides(scene: Scene) -> None:
    scene.beat("a1", member="UP", holds_vip=True)
    scene.beat("a2", member="DOWN", pool="DOWN", holds_vip=False)
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")


def test_counters_add_up(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1")
    scene.beat("a1", seq=2)
    scene.beat("a2", holds_vip=False)
    assert scene.counters() == [("a1", 200, 400, 14, 3), ("a2", 100, 200, 7, 3)]


@pytest.mark.parametrize("ver", [0, 1, 2])
def test_counters_of_earlier_formats_replace_what_was_counted(everywhere: Scene, ver: int) -> None:
    """They are not what was added, and start again with the data plane (contract 95, sections 2.1 and 2.2)."""
    scene = everywhere
    for count, stands in ((1, 1), (1, 1), (3, 3), (0, 0), (2, 2)):
        stats = ListenerCounters(rx=100 * count, tx=200 * count, totconns=7 * count, conns=count)
        scene.beat("a1", stats=stats, ver=ver)
        assert scene.counters() == [("a1", 100 * stands, 200 * stands, 7 * stands, stands)]
    # After a manager's restart no less.
    manager = scene.start()
    scene.beat("a1", by=manager, stats=ListenerCounters(rx=300, tx=600, totconns=21, conns=1), ver=ver)
    assert scene.counters() == [("a1", 300, 600, 21, 1)]


def test_counters_of_earlier_formats_that_were_not_written_are_kept_unless_newer_ones_came(scene: Scene) -> None:
    fleet = scene.manager.fleet

    def hear(amphora_id: str, count: int) -> None:
        report = ListenerReport(status="OPEN", stats=ListenerCounters(rx=count, tx=count, totconns=count, conns=count))
        heartbeat = Heartbeat(id=amphora_id, seq=count, ver=2, listeners={scene.listener: report})
        fleet.hear([heartbeat], scene.clock.seconds)

    for amphora_id in ("a1", "a2"):
        hear(amphora_id, 5)
    taken = fleet.take_counts()
    hear("a1", 2)
    fleet.put_back_counts(taken)
    scene.manager.flush()
    assert scene.counters() == [("a1", 2, 2, 2, 2), ("a2", 5, 5, 5, 5)]


def test_totals_make_good_what_was_lost_and_count_nothing_twice(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1", totals=ListenerTotals(tx=20, rx=10, totconns=1))
    # Two beats were lost, one came twice, and one comes late through another manager.
    for total in (40, 40):
        scene.beat("a1", totals=ListenerTotals(tx=2 * total, rx=total, totconns=total // 10))
    scene.beat("a1", by=scene.start(), totals=ListenerTotals(tx=60, rx=30, totconns=3))
    assert scene.counters() == [("a1", 40, 80, 4, 3)]


def test_no_count_is_lost_when_a_manager_dies_before_it_writes(scene: Scene) -> None:
    scene.beat("a1", totals=ListenerTotals(tx=20, rx=10, totconns=1))
    scene.manager.fleet.hear(
        [Heartbeat(id="a1", seq=2, generation=1, totals={scene.listener: ListenerTotals(tx=40, rx=20, totconns=2)})],
        scene.clock.seconds,
    )
    # kill -9: what was heard is not written; the agent tells its totals again.
    scene.manager = scene.start()
    scene.beat("a1", totals=ListenerTotals(tx=60, rx=30, totconns=3))
    assert scene.counters() == [("a1", 30, 60, 3, 3)]


def test_the_last_words_of_a_deleted_amphora_count_and_leave_nothing_open(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1", totals=ListenerTotals(rx=10, totconns=1))
    with scene.database.write() as connection:
        amphorae.forget(connection, "a1", rows.NOW)
        amphorae.forget(connection, "a2", rows.NOW)
    scene.beat("a1", totals=ListenerTotals(rx=15, totconns=2))
    scene.beat("a2", stats=ListenerCounters(tx=1, rx=7, conns=3, totconns=1, ereq=0))
    assert scene.counters() == [("a1", 15, 0, 2, 0), ("a2", 7, 1, 1, 0)]


def test_last_words_count_that_came_between_the_deletion_and_the_next_flush(scene: Scene) -> None:
    scene.beat("a1", totals=ListenerTotals(rx=10, totconns=1))
    with scene.database.write() as connection:
        amphorae.forget(connection, "a1", rows.NOW)
    last = {scene.listener: ListenerTotals(rx=15, totconns=2)}
    scene.manager.fleet.hear([Heartbeat(id="a1", seq=2, totals=last)], scene.clock.seconds)
    scene.manager.look()
    scene.manager.flush()
    assert scene.counters() == [("a1", 15, 0, 2, 0)]


def test_nothing_is_kept_of_a_listener_that_was_deleted_meanwhile(everywhere: Scene) -> None:
    scene = everywhere
    with scene.database.write() as connection:
        drop(connection, t.listener, t.listener.c.id == scene.listener)
    scene.beat("a1", totals=ListenerTotals(rx=10, totconns=1))
    assert scene.counters() == []


def test_a_listener_that_has_served_nobody_has_statistics(scene: Scene) -> None:
    scene.beat("a2", stats=ListenerCounters(tx=0, rx=0, conns=0, totconns=0, ereq=0))
    assert scene.counters() == [("a2", 0, 0, 0, 0)]


def test_counters_survive_a_database_that_does_not_answer(tmp_path: Path) -> None:
    scene = Scene(rows.fresh(tmp_path))
    path = tmp_path / "livia.db"
    scene.beat("a1")
    scene.beat("a2", totals=ListenerTotals(tx=20, rx=10, totconns=1))
    scene.database.close()
    path.rename(tmp_path / "away.db")
    scene.beat("a1", seq=2, member="DOWN", pool="DOWN")
    scene.beat("a2", seq=2, holds_vip=False, totals=ListenerTotals(tx=40, rx=20, totconns=2))
    assert scene.manager.outages == 2
    scene.database.close()
    path.unlink()
    (tmp_path / "away.db").rename(path)
    scene.manager.flush()
    assert scene.counters() == [("a1", 200, 400, 14, 3), ("a2", 20, 40, 2, 3)]
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")


def test_many_load_balancers_are_written_together(scene: Scene) -> None:
    keys = {scene.add((f"m{number}",)): f"m{number}" for number in range(50)}
    for amphora_id in keys.values():
        scene.manager.fleet.hear([Heartbeat(id=amphora_id, seq=1, generation=1, holds_vip=True)], scene.clock.seconds)
    statements = scene.count_statements(scene.manager.flush)
    # Ten of reading and writing statuses, and the time of the last heartbeat: not ten for each.
    assert statements <= 20
    with scene.database.read() as connection:
        found = connection.execute(t.listener.select().with_only_columns(t.listener.c.operating_status)).scalars().all()
    # None of them reported its listener.
    assert sorted(set(found)) == ["ERROR", "OFFLINE"]
    assert found.count("ERROR") == 50


def test_hosts_register_by_heartbeat(scene: Scene) -> None:
    facts = HostFacts(address="192.0.2.7", agent_port=9443, capacity=50, amphorae=0)
    for each in (facts, replace(facts, capacity=60)):
        scene.manager.fleet.hear([Heartbeat(id="host-a1", seq=1, host=each)], scene.clock.seconds)
        scene.manager.flush()
    with scene.database.read() as connection:
        ((host, age),) = hosts.every(connection)
    assert (host.address, host.capacity, host.amphora_count) == ("192.0.2.7", 60, 1)
    assert age < 60


def test_a_host_that_no_row_has_room_for_keeps_nobody_else_from_being_written(everywhere: Scene) -> None:
    """Its name is longer than those of PostgreSQL's and MariaDB's rows may be; SQLite takes any."""
    scene = everywhere
    facts = HostFacts(address="192.0.2.7", agent_port=9443, capacity=50, amphorae=0)
    names = ("host-1", "x" * 37, "host-2")
    scene.manager.fleet.hear([Heartbeat(id=name, seq=1, host=facts) for name in names], scene.clock.seconds)
    scene.beat("a1", member="DOWN", pool="DOWN")
    assert scene.manager.outages == 0
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")
    with scene.database.read() as connection:
        known = {host.id for host, _age in hosts.every(connection)}
    assert {"host-1", "host-2"} <= known


def test_a_host_that_appears_or_comes_back_is_room_for_those_that_wait_for_it(everywhere: Scene) -> None:
    scene = everywhere
    no_place = choose((), Wanted())
    assert isinstance(no_place, str)
    facts = HostFacts(address="192.0.2.7", agent_port=9443, capacity=50, amphorae=0)
    other = scene.add(("b1",))

    def wakes(host_id: str, said: HostFacts = facts) -> list[bool]:
        """Whether it has whom no host took, and whom something else hinders, tried at once."""
        with scene.database.write() as connection:
            for key, reason in ((scene.key, no_place), (other, "The agent does not answer.")):
                work.request(connection, key, project_id="p")
                work.again(connection, key, None, 30.0, reason)
        scene.manager.fleet.hear([Heartbeat(id=host_id, seq=1, host=said)], scene.clock.seconds)
        scene.manager.flush()
        with scene.database.read() as connection:
            return [
                each is not None and each.late >= 0
                for each in (work.one(connection, scene.key), work.one(connection, other))
            ]

    assert wakes("host-a1") == [True, False], "it is new"
    for _beat in range(12):
        scene.clock.seconds += TIMEOUT / 6
        assert wakes("host-a1") == [False, False], "it was there all along"
    assert wakes("host-a1", replace(facts, capacity=60)) == [True, False], "it takes more"
    scene.clock.seconds += TIMEOUT
    assert wakes("host-a1", replace(facts, capacity=60)) == [True, False], "it was taken for lost"


def test_who_is_heard_is_written_well_within_the_timeout(scene: Scene) -> None:
    facts = HostFacts(address="192.0.2.7", agent_port=9443, capacity=50, amphorae=0)
    written = 0
    for _second in range(round(TIMEOUT)):
        scene.clock.seconds += 1
        scene.manager.fleet.hear([Heartbeat(id="host-a1", seq=1, host=facts)], scene.clock.seconds)
        with scene.database.write() as connection:
            connection.execute(t.amphora_host.update().values(last_seen=1.0))
        scene.manager.writer.flush(scene.manager.fleet.take(0.0))
        with scene.database.read() as connection:
            written += connection.execute(t.amphora_host.select()).one().last_seen > 1.0
    # Others that read it see five signs of life before they take the host for lost.
    assert written >= 5


def test_who_is_heard_is_written_in_time_while_many_statuses_are_looked_at(scene: Scene) -> None:
    fleet, clock, written = scene.manager.fleet, scene.clock, [scene.clock.seconds]
    for number in range(900):
        fleet.hear([Heartbeat(id=f"unknown{number}", seq=1)], clock.seconds)

    def slowly(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        clock.seconds += 0.4
        fleet.hear([Heartbeat(id="a1", seq=1)], clock.seconds)
        if statement.startswith("UPDATE amphora_health"):
            written.append(clock.seconds)

    event.listen(scene.database.engine, "before_cursor_execute", slowly)
    scene.manager.writer.flush(fleet.take(0.0))
    event.remove(scene.database.engine, "before_cursor_execute", slowly)
    assert clock.seconds - written[0] > TIMEOUT / 2
    pauses = [after - before for before, after in zip(written, [*written[1:], clock.seconds], strict=True)]
    assert max(pauses) < TIMEOUT / 2


def test_counters_are_taken_a_thousand_at_a_time_and_the_longest_waiting_first() -> None:
    fleet = Fleet()

    def hear(numbers: range, count: int) -> None:
        for number in numbers:
            totals = {"l": ListenerTotals(totconns=count)}
            fleet.hear([Heartbeat(id=f"a{number}", seq=count, totals=totals)], 1.0)

    hear(range(1500), 1)
    first = fleet.take_counts()
    hear(range(1500), 2)
    second = fleet.take_counts()
    assert first.totals.keys() == {("l", f"a{number}") for number in range(1000)}
    assert list(second.totals)[:500] == [("l", f"a{number}") for number in range(1000, 1500)]
    assert {key: total["total_connections"] for key, total in second.totals.items()} == dict.fromkeys(second.totals, 2)
    fleet.put_back_counts(second)
    again = [fleet.take_counts(), fleet.take_counts()]
    assert {key for counts in again for key in counts.totals} == {("l", f"a{number}") for number in range(1500)}
    assert [counts.more for counts in (first, second, *again)] == [True, True, True, False]
