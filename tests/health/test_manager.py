"""The health manager on a real database: statuses, counters, hosts, and who is declared dead."""

from datetime import datetime
from pathlib import Path

from msgspec.structs import replace
from sqlalchemy import select

from livia.core.drivers import Placement, Unreachable
from livia.core.model.amphora import Role
from livia.core.report import (
    Applied,
    Heartbeat,
    HostFacts,
    ListenerCounters,
    ListenerReport,
    ListenerTotals,
    PoolReport,
)
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.compute.noop import NoopCompute
from livia.health.fleet import Fleet
from livia.health.watch import Watch
from livia.health.writer import Writer
from livia.store import amphorae, confirmation, events, hosts, trees, work
from livia.store import tables as t
from livia.store.engine import Database
from livia.store.removal import drop
from tests import database as rows


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return rows.NOW

    def monotonic(self) -> float:
        return self.seconds


class SilentAgents:
    """Agents that cannot be reached, but for those listed as forwarding."""

    def __init__(self) -> None:
        self.forwarding: set[str] = set()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        raise Unreachable("no route to host")

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        if amphora_id not in self.forwarding:
            raise Unreachable("no route to host")
        return Applied(
            amphora_id=amphora_id,
            load_balancer_id="",
            generation=1,
            digest="",
            fence=1,
            holds_vip=True,
            forwarding=True,
        )

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        raise Unreachable("no route to host")


_TRAFFIC = ListenerCounters(tx=200, rx=100, conns=3, totconns=7, ereq=1)


class Scene:
    """A load balancer that is ACTIVE on two amphorae, and a health manager."""

    def __init__(self, directory: Path) -> None:
        self.database: Database = rows.fresh(directory)
        self.clock = ManualClock()
        self.agents = SilentAgents()
        self.fleet = Fleet()
        self.key = rows.put_load_balancer(self.database)
        with self.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        self.listener = tree.listeners[0].id
        self.pool = tree.pools[0].id
        self.member = tree.pools[0].members[0].id
        with self.database.write() as connection:
            for amphora_id, role in (("a1", Role.MASTER), ("a2", Role.BACKUP)):
                amphorae.add(connection, amphora_id, tree.load_balancer, role, rows.NOW)
                amphorae.record(connection, amphora_id, rows.NOW, compute_id="host")
                amphorae.record_applied(connection, amphora_id, 1, amphora_id == "a1", rows.NOW)
            confirmation.confirm(connection, self.key, 1, rows.NOW)
            work.done(connection, self.key, 1)
        self.writer = Writer(self.database, self.fleet, self.clock, lambda: None)
        self.watch = Watch(
            self.database,
            self.fleet,
            self.clock,
            NoopCompute(),
            self.agents,
            NoWake(),
            timeout=10.0,
            interval=1.0,
        )

    def beat(
        self,
        amphora_id: str,
        *,
        seq: int = 1,
        member: str = "UP",
        pool: str = "UP",
        holds_vip: bool = True,
        stats: ListenerCounters = _TRAFFIC,
        totals: ListenerTotals | None = None,
    ) -> None:
        assert pool in ("UP", "DOWN")
        report = PoolReport(status="UP" if pool == "UP" else "DOWN", members={self.member: member})
        self.fleet.hear(
            Heartbeat(
                id=amphora_id,
                seq=seq,
                generation=1,
                holds_vip=holds_vip,
                listeners={self.listener: ListenerReport(status="OPEN", stats=stats)},
                totals={} if totals is None else {self.listener: totals},
                pools={f"{self.pool}:{self.listener}": report},
            ),
            self.clock.seconds,
        )
        self.writer.flush(self.fleet.take(0.0))

    def statuses(self) -> tuple[str, str, str, str]:
        """Load balancer, listener, pool, member."""
        with self.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        pool = tree.pools[0]
        return (
            tree.load_balancer.operating_status,
            tree.listeners[0].operating_status,
            pool.operating_status,
            pool.members[0].operating_status,
        )

    def amphora_status(self, amphora_id: str) -> str:
        with self.database.read() as connection:
            row = connection.execute(select(t.amphora.c.status).where(t.amphora.c.id == amphora_id)).one()
            return str(row.status)


def test_statuses_follow_the_report(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
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


def test_the_amphora_with_the_vip_decides(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.beat("a1", member="UP", holds_vip=True)
    scene.beat("a2", member="DOWN", pool="DOWN", holds_vip=False)
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")


def test_counters_add_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.beat("a1")
    scene.beat("a1", seq=2)
    scene.beat("a2", holds_vip=False)
    with scene.database.read() as connection:
        found = connection.execute(select(t.listener_statistics).order_by(t.listener_statistics.c.amphora_id)).all()
    assert [(row.bytes_in, row.bytes_out, row.active_connections, row.total_connections) for row in found] == [
        (200, 400, 3, 14),
        (100, 200, 3, 7),
    ]
    assert {row.load_balancer_id for row in found} == {scene.key}


def _rows(scene: Scene) -> list[tuple[str, int, int, int]]:
    with scene.database.read() as connection:
        found = connection.execute(select(t.listener_statistics).order_by(t.listener_statistics.c.amphora_id)).all()
    return [(row.amphora_id, row.bytes_in, row.total_connections, row.active_connections) for row in found]


def test_totals_make_good_what_was_lost_and_count_nothing_twice(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.beat("a1", totals=ListenerTotals(tx=20, rx=10, totconns=1))
    # Two beats were lost, one came twice, and one comes late through another manager.
    for total in (40, 40, 30):
        scene.beat("a1", totals=ListenerTotals(tx=2 * total, rx=total, totconns=total // 10))
    assert _rows(scene) == [("a1", 40, 4, 3)]
    scene.fleet = Fleet()
    scene.writer = Writer(scene.database, scene.fleet, scene.clock, lambda: None)
    scene.beat("a1", totals=ListenerTotals(tx=100, rx=50, totconns=5))
    assert _rows(scene) == [("a1", 50, 5, 3)]


def test_the_last_words_of_a_deleted_amphora_count_and_leave_nothing_open(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.beat("a1", totals=ListenerTotals(rx=10, totconns=1))
    with scene.database.write() as connection:
        amphorae.forget(connection, "a1", rows.NOW)
        amphorae.forget(connection, "a2", rows.NOW)
    scene.beat("a1", totals=ListenerTotals(rx=15, totconns=2))
    scene.beat("a2", stats=ListenerCounters(tx=1, rx=7, conns=3, totconns=1, ereq=0))
    assert _rows(scene) == [("a1", 15, 2, 0), ("a2", 7, 1, 0)]


def test_nothing_is_kept_of_a_listener_that_was_deleted_meanwhile(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with scene.database.write() as connection:
        drop(connection, t.listener, t.listener.c.id == scene.listener)
    scene.beat("a1", totals=ListenerTotals(rx=10, totconns=1))
    assert _rows(scene) == []


def test_a_listener_that_has_served_nobody_has_statistics(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.beat("a2", stats=ListenerCounters(tx=0, rx=0, conns=0, totconns=0, ereq=0))
    with scene.database.read() as connection:
        (found,) = connection.execute(select(t.listener_statistics)).all()
    assert (found.amphora_id, found.total_connections) == ("a2", 0)


def test_counters_survive_a_database_that_does_not_answer(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    path = tmp_path / "livia.db"
    scene.beat("a1")
    scene.database.close()
    path.rename(tmp_path / "away.db")
    broken: list[bool] = []
    scene.writer = Writer(scene.database, scene.fleet, scene.clock, lambda: broken.append(True))
    scene.beat("a1", seq=2)
    assert broken
    scene.database.close()
    path.unlink()
    (tmp_path / "away.db").rename(path)
    scene.beat("a1", seq=3)
    with scene.database.read() as connection:
        row = connection.execute(select(t.listener_statistics)).one()
    assert (row.bytes_in, row.total_connections, row.active_connections) == (300, 21, 3)


def test_a_dead_amphora_is_replaced_and_a_silent_one_that_forwards_is_not(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.agents.forwarding.add("a2")
    scene.watch.look()
    scene.clock.seconds += 11
    scene.watch.look()
    assert scene.amphora_status("a1") == "ERROR"
    assert scene.amphora_status("a2") == "ALLOCATED"
    with scene.database.read() as connection:
        (due,) = work.due(connection, 10)
        (entry, _when), *_rest = events.of_load_balancer(connection, scene.key)
    assert (due.key, due.priority) == (scene.key, work.Priority.FAILOVER)
    assert entry.code == "amphora.dead"
    assert "no route to host" in entry.message


def test_nobody_is_dead_before_a_full_timeout_of_listening(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.watch.look()
    scene.clock.seconds += 9
    scene.watch.look()
    scene.clock.seconds += 2
    # The manager was away just now: everybody gets a full timeout again.
    scene.watch.interrupted()
    scene.watch.look()
    assert scene.amphora_status("a1") == "ALLOCATED"
    scene.clock.seconds += 11
    scene.watch.look()
    assert scene.amphora_status("a1") == "ERROR"


def test_hosts_register_by_heartbeat(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    facts = HostFacts(address="192.0.2.7", agent_port=9443, capacity=50, amphorae=0)
    for each in (facts, replace(facts, capacity=60)):
        scene.fleet.hear(Heartbeat(id="host", seq=1, host=each), scene.clock.seconds)
        scene.writer.flush(scene.fleet.take(0.0))
    with scene.database.read() as connection:
        ((host, age),) = hosts.every(connection)
    assert (host.address, host.capacity, host.amphora_count) == ("192.0.2.7", 60, 2)
    assert age < 60
