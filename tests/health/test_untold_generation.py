"""Agents that speak the upstream wire tell no generation: what they say counts all the same, when it is known to be of
what they confirmed."""

import pytest
from sqlalchemy import insert, update

from livia.core.report import Heartbeat, ListenerCounters, ListenerReport, PoolReport
from livia.store import amphorae, confirmation
from livia.store import tables as t
from tests import database as rows
from tests.health.scene import TRAFFIC, Scene, applied


class Upstream:
    """The amphorae of the scene with agents of others. Objects of the load balancer changed last at generation 5."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.generation = 5
        self.members = {scene.member: "UP"}
        self.listeners = {scene.listener: "OPEN"}
        with scene.database.write() as connection:
            for table in (t.load_balancer, t.listener, t.pool, t.member):
                connection.execute(update(table).values(generation=self.generation))
        self.confirm("a1", "a2")

    def confirm(self, *amphora_ids: str) -> None:
        """These amphorae were sent the load balancer as it is now; the worker ends its change."""
        scene = self.scene
        with scene.database.write() as connection:
            for each in amphora_ids:
                said = applied(each, generation=self.generation, holds_vip=False)
                amphorae.record_applied(connection, said, rows.NOW)
            confirmation.confirm(connection, scene.key, self.generation, rows.NOW)

    def change(self) -> None:
        """The API accepts a change of the load balancer."""
        self.generation += 1
        with self.scene.database.write() as connection:
            connection.execute(
                update(t.load_balancer).values(generation=self.generation, provisioning_status="PENDING_UPDATE")
            )

    def add_listener(self, key: str) -> None:
        """The API accepts a listener."""
        self.change()
        with self.scene.database.write() as connection:
            row = dict(connection.execute(t.listener.select()).mappings().one())
            changed = {"provisioning_status": "PENDING_CREATE", "operating_status": "OFFLINE"}
            row |= {"id": key, "protocol_port": 8080, "generation": self.generation, **changed}
            connection.execute(insert(t.listener).values(row))

    def add_member(self, key: str) -> None:
        """The API accepts a member."""
        self.change()
        row = {
            "id": key,
            "pool_id": self.scene.pool,
            "load_balancer_id": self.scene.key,
            "project_id": "project",
            "ip_address": "10.1.0.9",
            "protocol_port": 80,
            "weight": 1,
            "backup": False,
            "enabled": True,
            "provisioning_status": "PENDING_CREATE",
            "operating_status": "NO_MONITOR",
            "generation": self.generation,
            "created_at": rows.NOW,
        }
        with self.scene.database.write() as connection:
            connection.execute(insert(t.member).values(row))

    def beat(self, amphora_id: str = "a1", *, pool: str = "UP") -> None:
        """A datagram with what the upstream wire has, and nothing else."""
        assert pool in ("UP", "DOWN")
        scene, manager = self.scene, self.scene.manager
        scene.clock.seconds += 0.01
        report = PoolReport(status="UP" if pool == "UP" else "DOWN", members=dict(self.members))
        opened = {
            key: ListenerReport(status="FULL" if status == "FULL" else "OPEN", stats=TRAFFIC)
            for key, status in self.listeners.items()
        }
        pools = {f"{scene.pool}:{key}": report for key in opened}
        manager.fleet.hear([Heartbeat(id=amphora_id, seq=1, listeners=opened, pools=pools)], scene.clock.seconds)
        manager.flush()

    def listener(self, key: str) -> str:
        with self.scene.database.read() as connection:
            row = connection.execute(t.listener.select().where(t.listener.c.id == key)).one()
        return str(row.operating_status)

    def member(self, key: str) -> str:
        with self.scene.database.read() as connection:
            row = connection.execute(t.member.select().where(t.member.c.id == key)).one()
        return str(row.operating_status)

    def reads_members(self) -> bool:
        sent = self.scene.statements(self.scene.manager.flush)
        assert sent
        return any("FROM member" in each for each in sent)


@pytest.fixture
def upstream(scene: Scene) -> Upstream:
    return Upstream(scene)


def test_statuses_of_objects_that_were_changed_follow(everywhere: Scene) -> None:
    scene, upstream = everywhere, Upstream(everywhere)
    upstream.beat()
    upstream.beat()
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")
    upstream.members[scene.member] = "DOWN 1/2"
    upstream.beat()
    assert scene.statuses() == ("DEGRADED", "ONLINE", "DEGRADED", "ERROR")
    upstream.beat(pool="DOWN")
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")
    for text, status in {"DRAIN": "DRAINING", "MAINT": "OFFLINE", "no check": "NO_MONITOR"}.items():
        upstream.members[scene.member] = text
        upstream.beat()
        assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", status)
    # A member without a monitor that is not told of stays as it is; another is not served.
    upstream.members = {}
    upstream.beat()
    assert upstream.member(scene.member) == "NO_MONITOR"
    upstream.members[scene.member] = "UP"
    upstream.beat()
    upstream.members = {}
    upstream.beat()
    assert upstream.member(scene.member) == "OFFLINE"


def test_a_listener_that_is_not_there_is_in_error_unless_it_is_disabled(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.beat()
    upstream.beat()
    upstream.listeners = {}
    upstream.beat()
    assert scene.statuses() == ("ERROR", "ERROR", "OFFLINE", "OFFLINE")
    upstream.change()
    with scene.database.write() as connection:
        connection.execute(update(t.listener).values(enabled=False, generation=upstream.generation))
    scene.manager.flush()
    assert scene.statuses()[1] == "ERROR", "it was not confirmed yet"
    upstream.confirm("a1", "a2")
    scene.manager.flush()
    upstream.beat()
    assert scene.statuses()[:2] == ("ONLINE", "OFFLINE")


def test_a_disabled_load_balancer_is_offline(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.beat()
    upstream.beat()
    upstream.change()
    with scene.database.write() as connection:
        connection.execute(update(t.load_balancer).values(enabled=False))
    upstream.confirm("a1", "a2")
    upstream.listeners = {}
    upstream.beat()
    assert scene.statuses() == ("OFFLINE", "OFFLINE", "OFFLINE", "OFFLINE")


def test_a_heartbeat_that_may_be_older_than_the_confirmation_says_nothing_of_what_changed(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.beat()
    upstream.beat()
    upstream.add_listener("l9")
    scene.manager.flush()
    upstream.confirm("a1", "a2")
    # It was sent before: the listener is not in it. What did not change is followed meanwhile.
    upstream.members[scene.member] = "DOWN"
    upstream.beat()
    assert upstream.listener("l9") == "OFFLINE"
    assert scene.statuses()[0] == "DEGRADED"
    assert upstream.member(scene.member) == "ERROR"
    scene.manager.flush()
    assert upstream.listener("l9") == "OFFLINE"
    upstream.listeners["l9"] = "OPEN"
    upstream.beat()
    assert upstream.listener("l9") == "ONLINE"
    # One that is still not there is not there.
    del upstream.listeners["l9"]
    upstream.beat()
    assert upstream.listener("l9") == "ERROR"


def test_a_heartbeat_that_says_the_same_as_before_the_change_settles_it_too(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.members["m9"] = "UP"
    upstream.beat()
    upstream.beat()
    upstream.add_member("m9")
    upstream.confirm("a1", "a2")
    scene.manager.flush()
    upstream.beat()
    assert upstream.member("m9") == "ONLINE"


def test_a_change_that_is_not_confirmed_is_not_followed(upstream: Upstream) -> None:
    upstream.beat()
    upstream.add_member("m9")
    upstream.members["m9"] = "UP"
    for _ in range(3):
        upstream.beat()
    assert upstream.member("m9") == "NO_MONITOR"
    assert upstream.member(upstream.scene.member) == "ONLINE"


def test_statuses_stand_while_a_manager_that_was_just_started_knows_too_little(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.members[scene.member] = "DOWN"
    upstream.beat(pool="DOWN")
    upstream.beat(pool="DOWN")
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")
    scene.manager = scene.start()
    upstream.members[scene.member] = "UP"
    upstream.beat()
    assert scene.statuses() == ("ERROR", "ONLINE", "ERROR", "ERROR")
    upstream.beat()
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")


def test_an_amphora_that_has_confirmed_nothing_yet_does_not_decide(upstream: Upstream) -> None:
    scene = upstream.scene
    with scene.database.write() as connection:
        connection.execute(update(t.amphora).where(t.amphora.c.id == "a1").values(applied_generation=0))
    upstream.beat("a2")
    upstream.beat("a2")
    assert scene.statuses()[3] == "ONLINE"
    # Its agent runs, and its HAProxy has no listener yet.
    upstream.listeners = {}
    upstream.beat("a1")
    upstream.beat("a1")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")


def test_rows_are_read_again_only_when_something_moved(upstream: Upstream) -> None:
    scene = upstream.scene
    upstream.beat()
    upstream.beat()
    assert not upstream.reads_members()
    upstream.beat()
    assert not upstream.reads_members()
    upstream.change()
    assert upstream.reads_members()
    upstream.confirm("a1", "a2")
    assert upstream.reads_members()
    assert not upstream.reads_members()
    scene.clock.seconds += 1
    told = scene.manager.fleet.reports(["a1"])["a1"].heartbeat
    scene.manager.fleet.hear([told], scene.clock.seconds)
    assert upstream.reads_members()
    assert not upstream.reads_members()


def test_what_was_counted_counts_whatever_is_under_way(upstream: Upstream) -> None:
    upstream.beat()
    assert upstream.scene.counters() == [("a1", 100, 200, 7, 3)]
    upstream.change()
    upstream.beat()
    assert upstream.scene.counters() == [("a1", 200, 400, 14, 3)]


def test_who_tells_no_generation_does_not_drift(upstream: Upstream) -> None:
    scene = upstream.scene
    for _ in range(3):
        upstream.beat()
        scene.beat("a2", generation=0, digest="d1", holds_vip=False, stats=ListenerCounters())
        scene.manager.wait(1)
    assert scene.events() == []
