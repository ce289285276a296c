"""A change in a large load balancer: only what can differ is read, and every status is right all the same."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import event, insert, select, update

from livia.core.report import Heartbeat, ListenerCounters, ListenerReport, PoolReport
from livia.store import observed
from livia.store import tables as t
from tests import database as rows
from tests.health.scene import Manager, Scene

#: members of its pool, among them one that is down
_COUNT = 150
_DOWN = "m000"


class Crowd:
    """The scene with many members. `said`: what the amphora with the VIP reports of each."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.names = [f"m{number:03}" for number in range(_COUNT)]
        self.said = dict.fromkeys(self.names, "UP") | {scene.member: "UP", _DOWN: "DOWN"}
        common = {
            "pool_id": scene.pool,
            "load_balancer_id": scene.key,
            "project_id": "project",
            "enabled": True,
            "provisioning_status": "ACTIVE",
            "operating_status": "OFFLINE",
            "protocol_port": 80,
            "weight": 1,
            "backup": False,
            "generation": 1,
            "created_at": rows.NOW,
        }
        with scene.database.write() as connection:
            connection.execute(
                insert(t.member),
                [{**common, "id": name, "ip_address": f"10.1.0.{number}"} for number, name in enumerate(self.names)],
            )

    def beat(self, generation: int, *, amphora_id: str = "a1", by: Manager | None = None, open_: bool = True) -> None:
        """Heard by one manager, and written."""
        scene, manager = self.scene, by or self.scene.manager
        scene.clock.seconds += 0.01
        report = PoolReport(status="UP", members=dict(self.said))
        manager.fleet.hear(
            [
                Heartbeat(
                    id=amphora_id,
                    seq=1,
                    generation=generation,
                    holds_vip=amphora_id == "a1",
                    listeners={scene.listener: ListenerReport(status="OPEN", stats=ListenerCounters())}
                    if open_
                    else {},
                    pools={f"{scene.pool}:{scene.listener}": report} if open_ else {},
                )
            ],
            scene.clock.seconds,
        )
        manager.flush()

    def change(self, generation: int, *, member: str | None = None, **values: object) -> None:
        """The API and the worker: a change of the load balancer, or of a member, that all amphorae have."""
        with self.scene.database.write() as connection:
            if member is not None:
                connection.execute(
                    update(t.member).where(t.member.c.id == member).values(generation=generation, **values)
                )
                values = {}
            connection.execute(
                update(t.load_balancer)
                .where(t.load_balancer.c.id == self.scene.key)
                .values(generation=generation, **values)
            )

    def statuses(self) -> dict[str, str]:
        """Of each member that is in its row."""
        with self.scene.database.read() as connection:
            query = select(t.member.c.id, t.member.c.operating_status).where(t.member.c.pool_id == self.scene.pool)
            return {row.id: row.operating_status for row in connection.execute(query)}

    @property
    def settled(self) -> int | None:
        return self.scene.manager.fleet.reports(["a1"])["a1"].settled


@pytest.fixture
def crowd(everywhere: Scene) -> Crowd:
    """Many members whose rows say what is reported."""
    crowd = Crowd(everywhere)
    crowd.beat(1)
    assert crowd.settled == 1
    return crowd


def test_a_change_that_no_status_follows_from_leaves_every_status_as_it_was(crowd: Crowd) -> None:
    before = crowd.statuses()
    assert before == {name: "ERROR" if name == _DOWN else "ONLINE" for name in crowd.said}
    crowd.change(2, member="m007", weight=7, operating_status="OFFLINE")
    crowd.beat(2)
    assert crowd.settled == 2
    assert crowd.statuses() == before
    # One that did not change is in ERROR: the pool is no better for another's change.
    assert crowd.scene.statuses()[:3] == ("DEGRADED", "ONLINE", "DEGRADED")


def test_members_that_stay_as_they_are_are_not_read(crowd: Crowd) -> None:
    crowd.change(2, member="m007", weight=7)
    key = crowd.scene.key
    with crowd.scene.database.read() as connection:
        (tree,) = observed.load(connection, observed.amphorae_beside(connection, ["a2"]), {key: 1})
    assert tree.partial
    assert {member.id for member in tree.pools[0].members} == {_DOWN, "m007"}


def test_a_status_that_changes_with_the_generation_is_written(crowd: Crowd) -> None:
    crowd.said |= {"m008": "DOWN", _DOWN: "UP"}
    crowd.change(2, member="m007", weight=7)
    crowd.beat(2)
    assert crowd.statuses() == {name: "ERROR" if name == "m008" else "ONLINE" for name in crowd.said}
    assert crowd.settled == 2


def test_a_change_that_the_amphora_does_not_have_yet_settles_nothing(crowd: Crowd) -> None:
    crowd.change(3, member="m007", weight=7, operating_status="OFFLINE")
    crowd.beat(2)
    assert crowd.settled == 1
    assert crowd.statuses()["m007"] == "OFFLINE"
    crowd.beat(3)
    assert (crowd.settled, crowd.statuses()["m007"]) == (3, "ONLINE")


def test_what_another_manager_wrote_is_read_again(crowd: Crowd) -> None:
    scene = crowd.scene
    other = scene.start()
    crowd.said["m008"] = "DRAIN"
    crowd.beat(1, by=other)
    assert crowd.statuses()["m008"] == "DRAINING"
    scene.manager.fleet.supersede(["a1"])
    crowd.said["m008"] = "UP"
    crowd.change(2)
    crowd.beat(2)
    assert crowd.statuses()["m008"] == "ONLINE"


def test_the_other_amphora_that_decides_for_a_while_is_not_forgotten(crowd: Crowd) -> None:
    crowd.change(2)
    crowd.beat(2, amphora_id="a2")
    assert crowd.settled == 1, "the one with the VIP still decides, and has not said that it has the change"
    crowd.beat(2)
    assert crowd.settled == 2


def test_all_members_of_a_load_balancer_that_is_disabled_are_offline(crowd: Crowd) -> None:
    crowd.change(2, enabled=False)
    crowd.beat(2)
    assert set(crowd.statuses().values()) == {"OFFLINE"}
    assert crowd.settled is None
    crowd.change(3, enabled=True)
    crowd.beat(3)
    assert crowd.statuses()["m007"] == "ONLINE"
    assert crowd.statuses()[_DOWN] == "ERROR"


def test_a_database_that_was_restored_from_a_backup_is_read_whole(crowd: Crowd) -> None:
    crowd.change(5)
    crowd.beat(5)
    assert crowd.settled == 5
    with crowd.scene.database.write() as connection:
        connection.execute(update(t.member).values(operating_status="OFFLINE"))
    crowd.change(4)
    crowd.beat(4)
    assert crowd.statuses()["m007"] == "ONLINE"
    assert crowd.settled == 4


def test_few_members_are_read_whole(tmp_path: Path) -> None:
    scene = Scene(rows.fresh(tmp_path))
    scene.beat("a1")
    assert scene.manager.fleet.reports(["a1"])["a1"].settled is None
    scene.database.close()


def _reads_members(scene: Scene) -> bool:
    sent = scene.statements(scene.manager.flush)
    assert sent
    return any("FROM member" in each for each in sent)


def test_of_an_agent_that_tells_no_generation_rows_are_read_again_when_anything_moved(scene: Scene) -> None:
    with scene.database.write() as connection:
        for table in (t.listener, t.pool, t.member):
            connection.execute(update(table).values(generation=0))
    scene.beat("a1", generation=0)
    scene.beat("a2", generation=0, holds_vip=False)
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")
    assert not _reads_members(scene)
    scene.beat("a1", generation=0, member="DOWN")
    assert scene.statuses() == ("DEGRADED", "ONLINE", "DEGRADED", "ERROR")
    assert not _reads_members(scene)
    with scene.database.write() as connection:
        connection.execute(update(t.load_balancer).values(enabled=False, generation=2))
    assert _reads_members(scene)
    assert scene.statuses() == ("OFFLINE", "OFFLINE", "OFFLINE", "OFFLINE")
    assert not _reads_members(scene)
    # A worker under way may write anything.
    with scene.database.write() as connection:
        connection.execute(update(t.load_balancer).values(provisioning_status="PENDING_UPDATE"))
    assert _reads_members(scene)
    assert _reads_members(scene)


def test_of_an_agent_that_tells_no_generation_the_vip_is_looked_at_again(scene: Scene) -> None:
    scene.beat("a1", generation=0)
    with scene.database.write() as connection:
        connection.execute(update(t.amphora).values(holds_vip=False))
    scene.manager.flush()
    with scene.database.read() as connection:
        holders = connection.execute(select(t.amphora.c.id).where(t.amphora.c.holds_vip)).scalars().all()
    assert holders == ["a1"]


def test_of_an_agent_that_tells_no_generation_the_other_amphora_may_come_to_decide(scene: Scene) -> None:
    with scene.database.write() as connection:
        for table in (t.listener, t.pool, t.member):
            connection.execute(update(table).values(generation=0))
    scene.beat("a1", generation=0)
    scene.beat("a2", generation=0, holds_vip=False, member="DOWN")
    assert scene.statuses()[3] == "ONLINE"
    # Of the one with the VIP nothing is known any more, and the other one says what it said.
    scene.manager.fleet.keep_only(frozenset({"a2"}))
    scene.manager.flush()
    assert scene.statuses()[3] == "ERROR"


def test_what_could_not_be_looked_at_again_is_kept(tmp_path: Path) -> None:
    scene = Scene(rows.fresh(tmp_path))
    path = tmp_path / "livia.db"
    scene.beat("a1", generation=0)
    with scene.database.write() as connection:
        connection.execute(update(t.load_balancer).values(enabled=False, generation=2))
    scene.database.close()
    path.rename(tmp_path / "away.db")
    scene.manager.flush()
    assert scene.manager.outages == 1
    scene.database.close()
    path.unlink()
    (tmp_path / "away.db").rename(path)
    scene.manager.flush()
    assert scene.statuses()[0] == "OFFLINE"
    scene.database.close()


def test_a_changed_status_goes_before_a_fleet_that_is_heard_for_the_first_time(scene: Scene) -> None:
    scene.beat("a1")
    fleet, at = scene.manager.fleet, scene.clock.seconds
    # Their ids come first, and so did they.
    fleet.hear([Heartbeat(id=f"A{number:04}", seq=1) for number in range(2500)], at)
    told = fleet.reports(["a1"])["a1"].heartbeat
    fleet.hear([replace(told, pools={}, seq=2)], at)
    first, second, third = (fleet.take(0.0) for _ in range(3))
    assert first.changed == {"a1"}
    assert [len(each.waiting) for each in (first, second, third)] == [1000, 1000, 500]
    assert [each.more for each in (first, second, third)] == [True, True, False]
    fleet.put_back(first)
    fleet.hear([replace(told, id="A0001", seq=2), replace(told, id="A2400", seq=2)], at)
    again = fleet.take(0.0)
    assert again.changed == {"a1", "A0001", "A2400"}
    assert set(again.waiting) == set(first.waiting) - {"A0001"}
    settled: list[frozenset[str]] = []
    fleet.put_back(again)
    event.listen(scene.database.engine, "before_cursor_execute", _Note(settled))
    scene.manager.writer.flush(fleet.take(0.0))
    assert "a1" in settled[0]
    assert len(settled) == 6


class _Note:
    """Keeps the ids of amphorae whose load balancers are looked for."""

    def __init__(self, kept: list[frozenset[str]]) -> None:
        self._kept = kept

    def __call__(
        self, _connection: object, _cursor: object, statement: str, parameters: object, *_rest: object
    ) -> None:
        if statement.startswith("SELECT amphora.id, amphora.load_balancer_id, amphora.holds_vip"):
            assert isinstance(parameters, tuple)
            self._kept.append(frozenset(map(str, parameters)))
