"""Who is declared dead, and who is not."""

from datetime import timedelta

import pytest
from prometheus_client import generate_latest
from sqlalchemy import event

from livia.core.drivers import Placement
from livia.core.model.amphora import Role
from livia.core.report import Applied
from livia.store import amphorae, trees, work
from livia.store import tables as t
from tests import database as rows
from tests.health.scene import TIMEOUT, Scene, applied

#: seconds after which a dead amphora was asked about twice, and looked at once more
_LONG_ENOUGH = round(TIMEOUT * 9 / 8) + 4


def test_a_dead_amphora_is_replaced_and_a_silent_one_that_forwards_is_not(everywhere: Scene) -> None:
    scene = everywhere
    scene.agents.answers = {"a1": False, "a2": True}
    scene.manager.wait(TIMEOUT + 2)
    assert (scene.amphora_status("a1"), scene.amphora_status("a2")) == ("ERROR", "ALLOCATED")
    with scene.database.read() as connection:
        (due,) = work.due(connection, 10, 10)
    assert (due.key, due.priority) == (scene.key, work.Priority.FAILOVER)
    (entry,) = scene.events()
    assert entry.code == "amphora.dead"
    assert entry.request_id is not None
    assert due.request_id == entry.request_id
    assert entry.message == (
        "Amphora a1 sent no heartbeat for 10 s and its agent says that it does not forward; it is replaced."
    )
    assert scene.manager.metric("livia_failovers_total", cause="dead") == 1
    assert scene.manager.metric("livia_health_guard", state="ok") == 1


def test_an_amphora_whose_agent_is_lost_is_replaced_once_somebody_else_is_heard(scene: Scene) -> None:
    scene.manager.wait(TIMEOUT + 5)
    assert scene.dead() == set()
    assert scene.manager.metric("livia_health_guard", state="network") == 1
    # After nobody was heard at all, everybody gets a full timeout again.
    for second in range(int(TIMEOUT) + 3):
        assert scene.dead() == set() or second > TIMEOUT
        scene.beat("a1")
        scene.manager.wait(1)
    assert scene.dead() == {"a2"}
    assert scene.manager.metric("livia_failovers_total", cause="unreachable") == 1


def test_a_load_balancer_whose_last_amphora_is_dead_shows_it_until_one_reports(everywhere: Scene) -> None:
    scene = everywhere
    other = scene.add(("b1", "b2"))
    scene.beat("a1")
    scene.beat("a2", holds_vip=False)
    scene.agents.answers = {"a1": False, "a2": True, "b1": True, "b2": True}
    scene.manager.wait(2 * TIMEOUT)
    assert scene.dead() == {"a1"}
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")
    scene.agents.answers["a2"] = False
    scene.manager.wait(2 * TIMEOUT)
    assert scene.dead() == {"a1", "a2"}
    assert scene.statuses()[:2] == ("ERROR", "ERROR")
    with scene.database.read() as connection:
        tree, untouched = trees.load(connection, scene.key), trees.load(connection, other)
    assert tree is not None
    assert untouched is not None
    assert untouched.load_balancer.operating_status == "OFFLINE"
    with scene.database.write() as connection:
        amphorae.add(connection, "a3", tree.load_balancer, Role.MASTER, rows.NOW)
        amphorae.record_applied(connection, applied("a3"), rows.NOW)
    scene.beat("a3")
    assert scene.statuses() == ("ONLINE", "ONLINE", "ONLINE", "ONLINE")


def test_one_that_dies_while_others_report_is_replaced_in_time(scene: Scene) -> None:
    scene.beat("a1")
    scene.beat("a2")
    for second in range(_LONG_ENOUGH):
        assert scene.dead() == set() or second > TIMEOUT
        scene.beat("a1")
        scene.manager.wait(1)
    assert scene.dead() == {"a2"}


def silence_a1(scene: Scene, seconds: float, *, holds_vip: bool) -> None:
    """Only a2 is heard."""
    for _ in range(round(seconds)):
        scene.beat("a2", holds_vip=holds_vip)
        scene.manager.wait(1)


def test_one_whose_peer_hears_its_adverts_is_spared_until_the_peer_takes_the_vip(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1")
    silence_a1(scene, TIMEOUT * 2, holds_vip=False)
    assert scene.dead() == set()
    (entry,) = scene.events()
    assert (entry.code, entry.object_id) == ("amphora.spared", "a1")
    assert "amphora a2, heard since, leaves the VIP to it" in entry.message
    assert scene.manager.metric("livia_health_guard", state="forwarding") == 1
    assert scene.manager.metric("livia_health_held_failovers") == 1
    silence_a1(scene, 2, holds_vip=True)
    assert scene.dead() == {"a1"}


def test_one_that_is_spared_is_replaced_when_a_change_cannot_reach_it(scene: Scene) -> None:
    scene.beat("a1")
    silence_a1(scene, TIMEOUT * 2, holds_vip=False)
    with scene.database.write() as connection:
        connection.execute(t.load_balancer.update().values(provisioning_status="PENDING_UPDATE"))
        work.request(connection, scene.key, project_id=None)
    silence_a1(scene, 2, holds_vip=False)
    assert scene.dead() == set()
    with scene.database.write() as connection:
        connection.execute(t.work.update().values(since=t.work.c.since - TIMEOUT))
    silence_a1(scene, 2, holds_vip=False)
    assert scene.dead() == {"a1"}


@pytest.mark.parametrize("why", ["both silent", "no vrrp", "a third"])
def test_whose_death_a_peer_cannot_rule_out_is_replaced(scene: Scene, why: str) -> None:
    """Load balancers whose amphorae other than a1 do not hold the VIP, and an amphora of another one that is heard."""
    scene.add(("other",))
    with scene.database.write() as connection:
        if why == "no vrrp":
            connection.execute(t.load_balancer.update().values(topology="SINGLE"))
        if why == "a third":
            connection.execute(t.amphora.update().where(t.amphora.c.id == "other").values(load_balancer_id=scene.key))
    scene.beat("a1", holds_vip=False)
    scene.beat("a2", holds_vip=False)
    for _ in range(_LONG_ENOUGH):
        scene.beat("other", holds_vip=False)
        if why != "both silent":
            scene.beat("a2", holds_vip=False)
        scene.manager.wait(1)
    assert "a1" in scene.dead()


def test_nobody_is_dead_before_a_full_timeout_of_listening(scene: Scene) -> None:
    scene.agents.answers = {"a1": False, "a2": False}
    scene.manager.wait(TIMEOUT - 1)
    # SIGSTOP for a minute, or the like.
    scene.clock.seconds += 60
    scene.manager.look()
    assert scene.manager.metric("livia_health_guard", state="listening") == 1
    scene.manager.wait(TIMEOUT - 1)
    assert scene.dead() == set()
    scene.manager.wait(2)
    assert scene.dead() == {"a1", "a2"}


def test_no_silence_counts_while_datagrams_wait_to_be_heard(scene: Scene) -> None:
    scene.agents.answers = {"a1": False, "a2": False}
    scene.beat("a1")
    stuck = scene.clock.seconds
    scene.manager.arrived = lambda: stuck
    scene.manager.wait(5 * TIMEOUT)
    assert scene.dead() == set()
    scene.manager.arrived = scene.clock.monotonic
    scene.manager.look()
    assert scene.dead() == {"a1", "a2"}


def test_agents_are_asked_again_only_when_their_answer_is_old(scene: Scene) -> None:
    scene.agents.answers = {"a1": True, "a2": True}
    scene.manager.wait(TIMEOUT * 2)
    assert 2 <= scene.agents.asked.count("a1") <= 3
    scene.agents.answers["a2"] = False
    scene.manager.wait(TIMEOUT / 2 + 2)
    assert scene.dead() == {"a2"}


def test_whom_nobody_answers_for_once_is_asked_again(scene: Scene) -> None:
    for second in range(2 * _LONG_ENOUGH):
        scene.beat("a1")
        # Its agent was too busy to answer.
        if scene.agents.asked:
            scene.agents.answers = {"a2": True}
        scene.manager.wait(1)
        assert scene.dead() == set(), second
    assert scene.agents.asked.count("a2") > 1


def test_who_is_asked_while_both_paths_are_cut_is_not_dead_when_one_is_back(scene: Scene) -> None:
    """The heartbeats of all are cut, later the second path, and that is back while the last answers are fresh."""
    scene.add(("other",))
    scene.beat("a1")
    scene.beat("a2")
    scene.manager.wait(4)
    scene.beat("other")
    scene.agents.answers = dict.fromkeys(("a1", "a2", "other"), True)
    scene.manager.wait(10)
    before = len(scene.agents.asked)
    scene.agents.answers = {}
    scene.manager.wait(5)
    assert scene.agents.asked[before:] == ["a1", "a2"] * 2
    scene.agents.answers = dict.fromkeys(("a1", "a2", "other"), True)
    for _ in range(2 * _LONG_ENOUGH):
        scene.manager.wait(1)
        assert scene.dead() == set()


def test_a_lost_host_is_asked_about_two_of_its_amphorae_twice(scene: Scene) -> None:
    for number in range(20):
        scene.add((f"h{number}",))
        with scene.database.write() as connection:
            amphorae.record(connection, f"h{number}", rows.NOW, compute_id="lost")
    for _ in range(_LONG_ENOUGH):
        scene.beat("a1")
        scene.beat("a2")
        scene.manager.wait(1)
    assert len(scene.agents.asked) == 4
    # Ten at once: what is left waits for its minute.
    assert len(scene.dead()) == 10
    assert scene.manager.metric("livia_health_guard", state="share") == 1
    # Another manager, or this one started anew, knows what was replaced.
    second = scene.start()
    for _ in range(_LONG_ENOUGH):
        scene.beat("a1", by=second)
        scene.beat("a2", by=second)
        second.wait(1)
    assert len(scene.dead()) == 10


def test_beyond_the_threshold_amphorae_are_stopped_and_come_back_by_themselves(scene: Scene) -> None:
    manager = scene.manager = scene.start(threshold=2)
    scene.agents.answers = {"a1": False, "a2": False}
    manager.wait(TIMEOUT + 2)
    assert (scene.amphora_status("a1"), scene.amphora_status("a2")) == ("FAILOVER_STOPPED", "FAILOVER_STOPPED")
    assert {entry.code for entry in scene.events()} == {"amphora.failover_stopped"}
    assert "failover_threshold is 2" in scene.events()[0].message
    # One reports again; the other is now fewer than two.
    for _ in range(int(TIMEOUT) + 3):
        scene.beat("a1")
        manager.wait(1)
    assert (scene.amphora_status("a1"), scene.amphora_status("a2")) == ("ALLOCATED", "ERROR")


def test_another_manager_that_hears_it_keeps_an_amphora_alive(everywhere: Scene) -> None:
    scene = everywhere
    other = scene.start()
    for _ in range(int(TIMEOUT) * 2):
        scene.beat("a1", by=other)
        scene.beat("a2")
        scene.manager.look()
        other.look()
        scene.clock.seconds += 1
    assert scene.dead() == set()
    assert (scene.manager.metric("livia_health_silent_amphorae"), other.metric("livia_health_silent_amphorae")) == (
        0,
        0,
    )


def test_what_a_manager_wrote_itself_is_no_sign_of_life(scene: Scene) -> None:
    scene.agents.answers = {"a1": True, "a2": False}
    scene.beat("a2")
    scene.manager.wait(TIMEOUT - 1)
    # Written late: the amphora was last heard long before.
    scene.manager.flush()
    scene.manager.wait(3)
    assert scene.dead() == {"a2"}


def test_two_managers_replace_a_dead_amphora_once(scene: Scene) -> None:
    other = scene.start()
    scene.agents.answers = {"a1": False, "a2": True}
    for _ in range(int(TIMEOUT) + 2):
        scene.clock.seconds += 1
        scene.manager.look()
        other.look()
    assert [entry.code for entry in scene.events()] == ["amphora.dead"]


def test_the_newest_report_of_two_managers_stands(scene: Scene) -> None:
    other = scene.start()
    scene.beat("a1", member="UP")
    scene.manager.look()
    scene.beat("a1", member="DOWN", pool="DOWN", by=other)
    scene.manager.wait(1)
    assert scene.statuses()[3] == "ERROR"
    # The first hears what it heard before: it knows that another heard something else meanwhile.
    scene.beat("a1", member="UP")
    scene.manager.flush()
    assert scene.statuses()[3] == "ONLINE"


def test_an_amphora_that_runs_something_else_is_configured_again(everywhere: Scene) -> None:
    scene = everywhere
    scene.beat("a1", digest="d0")
    scene.manager.wait(1)
    assert scene.events() == []
    scene.beat("a1", digest="d0")
    scene.manager.wait(1)
    (entry,) = scene.events()
    assert entry.code == "amphora.drift"
    with scene.database.read() as connection:
        (due,) = work.due(connection, 10, 10)
        amphora = amphorae.one(connection, "a1")
    assert (due.key, due.priority) == (scene.key, work.Priority.PERIODIC)
    assert amphora is not None
    assert amphora.applied_generation == 0
    # While that is under way, and for a minute after, it is not asked for again.
    for _ in range(5):
        scene.beat("a1", digest="d0")
        scene.manager.wait(1)
    assert len(scene.events()) == 1
    assert scene.manager.metric("livia_drifts_total") == 1


def test_no_drift_is_seen_while_a_change_is_under_way(scene: Scene) -> None:
    with scene.database.write() as connection:
        work.request(connection, scene.key, project_id=None)
    for _ in range(4):
        scene.beat("a1", generation=2, digest="d2")
        scene.manager.wait(1)
    with scene.database.write() as connection:
        connection.execute(t.work.delete())
        connection.execute(t.load_balancer.update().values(provisioning_status="PENDING_UPDATE"))
    for _ in range(4):
        scene.beat("a1", generation=2, digest="d2")
        scene.manager.wait(1)
    assert scene.events() == []


def test_a_silent_host_is_shown(scene: Scene) -> None:
    with scene.database.write() as connection:
        connection.execute(
            t.amphora_host.insert().values(
                id="gone", address="192.0.2.1", agent_port=1, capacity=1, last_seen=1.0, draining=False
            )
        )
    scene.manager.look()
    assert scene.manager.metric("livia_health_silent_hosts") == 1
    assert b"livia_health_oldest_silence_seconds" in generate_latest(scene.manager.registry)


def test_what_was_written_while_rows_were_read_is_taken_for_nobody_elses(scene: Scene) -> None:
    manager = scene.manager
    scene.beat("a1")
    manager.flush()
    manager.look()
    scene.beat("a1")
    manager.flush()
    # The next batch is under way, and the rows that the look reads are of this one.
    manager.fleet.wrote(scene.clock.now() + timedelta(seconds=1))
    manager.look()
    assert not manager.fleet.reports(["a1"])["a1"].superseded


def test_what_was_written_so_long_ago_that_it_is_forgotten_is_no_sign_of_life(scene: Scene) -> None:
    scene.agents.answers = {"a1": False, "a2": True}
    scene.beat("a1")
    scene.manager.look()
    for number in range(10_001):
        scene.manager.fleet.wrote(rows.NOW - timedelta(seconds=number))
    scene.manager.wait(TIMEOUT + 2)
    assert scene.dead() == {"a1"}


def test_one_that_another_manager_hears_while_it_is_asked_about_is_not_dead(
    everywhere: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = everywhere
    other = scene.start()
    ask = scene.agents.observe

    def observe(placement: Placement, amphora_id: str) -> Applied | None:
        scene.beat(amphora_id, by=other)
        return ask(placement, amphora_id)

    scene.agents.answers = {"a1": False, "a2": True}
    monkeypatch.setattr(scene.agents, "observe", observe)
    scene.manager.wait(TIMEOUT + 2)
    assert scene.agents.asked
    assert scene.dead() == set()


@pytest.mark.parametrize("reads", range(4))
def test_one_that_gets_ready_during_a_look_is_no_stranger(scene: Scene, reads: int) -> None:
    with scene.database.write() as connection:
        connection.execute(t.amphora.update().where(t.amphora.c.id == "a1").values(status="BOOTING"))
        connection.execute(t.amphora_health.delete().where(t.amphora_health.c.amphora_id == "a1"))
    scene.beat("a1")
    sent: list[str] = []

    def confirm(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)
        if len(sent) == reads + 1:
            with scene.database.write() as connection:
                amphorae.record_applied(connection, applied("a1"), rows.NOW)

    event.listen(scene.database.engine, "before_cursor_execute", confirm)
    scene.manager.look()
    event.remove(scene.database.engine, "before_cursor_execute", confirm)
    assert scene.amphora_status("a1") == "ALLOCATED"
    assert "a1" in scene.manager.fleet.times()
    assert scene.manager.metric("livia_heartbeats_strangers_total") == 0
