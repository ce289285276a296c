"""Pairs that share a host or a zone are parted where that helps, a few at a time, and nobody else is disturbed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, update

from livia.core.clock import Clock, SystemClock
from livia.core.model.amphora import Amphora, AmphoraHost
from livia.core.model.event import Event, Severity
from livia.core.report import HostFacts
from livia.core.wake import NoWake
from livia.drivers.compute.host import Hosts
from livia.house.apart import AGAIN, MOST_UNDER_WAY, Apart
from livia.store import events, hosts, trees, work
from livia.store import tables as t
from tests.house.turns import HandClock, done
from tests.worker.world import World

SILENCE, HEARD = 60.0, 60.0


class Site:
    """A world with hosts and pairs on them, and the job."""

    def __init__(self, directory: Path) -> None:
        self.world = World(directory, cidr="10.0.0.0/16")
        self.database = self.world.database
        self.compute = Hosts(self.database, silence=SILENCE)
        self.world.drivers = replace(self.world.drivers, compute=self.compute)

    def host(self, name: str, *, capacity: int = 100, zone: str | None = None) -> None:
        facts = HostFacts(address="192.0.2.1", agent_port=1, capacity=capacity, amphorae=0, availability_zone=zone)
        self.database.transaction(lambda connection: hosts.seen(connection, name, facts))

    def pair(self) -> str:
        key = self.world.load_balancer("ACTIVE_STANDBY")
        self.settle(key)
        return key

    def settle(self, key: str) -> None:
        """A worker is done with it."""
        self.world.reconcile(key)
        with self.database.write() as connection:
            connection.execute(t.work.delete().where(t.work.c.key == key))

    def part(self, *, compute: Hosts | None = None, clock: Clock | None = None) -> int:
        clock = clock or SystemClock()
        job = Apart(self.database, clock, compute or self.compute, NoWake(), interval=0.0, heard=HEARD)
        return done(self.database, job).done

    def amphorae(self, key: str) -> tuple[Amphora, ...]:
        with self.database.read() as connection:
            tree = trees.load(connection, key)
        assert tree is not None
        return tree.amphorae

    def homes(self, key: str) -> list[str]:
        return sorted(each.compute_id or "" for each in self.amphorae(key))

    def asked(self, key: str) -> list[str]:
        """Ids of those that are to be replaced."""
        return [each.id for each in self.amphorae(key) if each.replace_requested]

    def standby(self, key: str) -> str:
        (found,) = (each.id for each in self.amphorae(key) if not each.holds_vip)
        return found

    def sentences(self, key: str) -> list[str]:
        with self.database.read() as connection:
            return [each.message for each, _at in events.of_load_balancer(connection, key) if "shares" in each.message]

    def change(self, table: Any, key: str, **values: object) -> None:
        with self.database.write() as connection:
            connection.execute(update(table).where(table.c.id == key).values(**values))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_one_without_the_vip_is_asked_to_leave_once_and_told_why(site: Site) -> None:
    site.host("a")
    key = site.pair()
    site.host("b")
    standby = site.standby(key)
    assert [site.part(), site.part()] == [1, 0]
    assert site.asked(key) == [standby]
    assert site.sentences(key) == [
        f"Amphora {standby} is replaced: it shares host a with the other of its pair, and host b has room."
    ]
    with site.database.read() as connection:
        asked = work.one(connection, key)
    assert asked is not None
    assert (asked.priority, asked.project_id) == (work.Priority.PERIODIC, "project")
    site.settle(key)
    assert site.homes(key) == ["a", "b"]
    assert site.part() == 0


def test_nothing_is_asked_and_nothing_is_looked_for_where_there_is_one_host(site: Site) -> None:
    site.host("a")
    key = site.pair()

    class Blind:
        """Whoever looks at the database fails."""

        def read(self) -> None:
            raise AssertionError("a single host was looked at")

    job = Apart(Blind(), SystemClock(), site.compute, NoWake(), interval=0.0, heard=HEARD)  # type: ignore[arg-type]
    assert done(site.database, job).done == 0
    site.host("b", capacity=0)
    assert site.part() == 0
    assert site.asked(key) == []


@pytest.mark.parametrize("state", ["full", "draining", "lost", "mute"])
def test_who_could_only_come_to_the_same_host_stays(site: Site, state: str) -> None:
    site.host("a")
    key = site.pair()
    site.host("b", capacity=0 if state == "full" else 10)
    if state == "draining":
        site.change(t.amphora_host, "b", draining=True)
    if state == "lost":
        site.change(t.amphora_host, "b", last_seen=0.0)
    answers: Callable[[AmphoraHost], bool] = lambda host: state != "mute" or host.id != "b"  # noqa: E731
    compute = Hosts(site.database, silence=SILENCE, answers=answers)
    assert site.part(compute=compute) == 0
    assert site.asked(key) == []
    site.host("c")
    assert site.part(compute=compute) == 1


def _pending(site: Site, key: str) -> None:
    site.change(t.load_balancer, key, provisioning_status="PENDING_UPDATE")


def _failed(site: Site, key: str) -> None:
    site.change(t.load_balancer, key, provisioning_status="ERROR")


def _wanted(site: Site, key: str) -> None:
    site.database.transaction(lambda connection: work.request(connection, key, project_id=None))


def _dead(site: Site, key: str) -> None:
    site.change(t.amphora, site.standby(key), status="ERROR")


def _stopped(site: Site, _key: str) -> None:
    with site.database.write() as connection:
        connection.execute(insert(t.amphora).values(id="x", status="FAILOVER_STOPPED", role="STANDALONE"))


def _silent(site: Site, key: str) -> None:
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=2 * HEARD)
    (holder,) = (each.id for each in site.amphorae(key) if each.holds_vip)
    with site.database.write() as connection:
        heard = t.amphora_health.c.amphora_id == holder
        connection.execute(update(t.amphora_health).where(heard).values(last_update=long_ago))


def _dying(site: Site, _key: str) -> None:
    entry = Event(
        load_balancer_id="other",
        object_type="amphora",
        object_id="other",
        severity=Severity.ERROR,
        code="amphora.dead",
        message="It is dead.",
    )
    site.database.transaction(lambda connection: events.add(connection, entry, site.world.clock.now()))


def _no_holder(site: Site, key: str) -> None:
    for each in site.amphorae(key):
        site.change(t.amphora, each.id, holds_vip=False)


def _leaving(site: Site, _key: str) -> None:
    site.change(t.amphora_host, "a", draining=True)


@pytest.mark.parametrize("matter", [_pending, _failed, _wanted, _dead, _stopped, _silent, _dying, _no_holder, _leaving])
def test_nobody_is_moved_while_something_else_is_the_matter(site: Site, matter: Callable[[Site, str], None]) -> None:
    site.host("a")
    key = site.pair()
    site.host("b")
    site.host("c")
    matter(site, key)
    assert site.part() == 0
    assert site.asked(key) == []


def test_so_many_go_at_once_and_the_rest_when_these_are_done(site: Site) -> None:
    site.host("a")
    keys = [site.pair() for _ in range(MOST_UNDER_WAY + 2)]
    site.host("b")
    assert [site.part(), site.part()] == [MOST_UNDER_WAY, 0]
    moving = [key for key in keys if site.asked(key)]
    for key in moving[:1]:
        site.settle(key)
    assert site.part() == 1
    for key in keys:
        site.settle(key)
    assert site.part() == 1


def test_no_more_are_asked_than_there_is_room(site: Site) -> None:
    site.host("a")
    keys = [site.pair() for _ in range(3)]
    site.host("b", capacity=2)
    assert [site.part(), site.part()] == [2, 0]
    for key in keys:
        site.settle(key)
    assert sorted(site.homes(key) for key in keys) == [["a", "a"], ["a", "b"], ["a", "b"]]
    assert site.part() == 0


def test_what_nothing_takes_any_more_is_called_off(site: Site) -> None:
    site.host("a")
    key = site.pair()
    before = {each.id for each in site.amphorae(key)}
    site.host("b")
    assert site.part() == 1
    site.host("b", capacity=0)
    assert site.part() == 0
    assert site.asked(key) == []
    site.settle(key)
    assert {each.id for each in site.amphorae(key)} == before


def test_one_that_came_to_the_same_host_again_is_not_asked_again_soon(site: Site) -> None:
    site.host("a")
    key = site.pair()
    site.host("b")
    assert site.part() == 1
    # The worker, elsewhere, does not reach b.
    compute = Hosts(site.database, silence=SILENCE, answers=lambda host: host.id != "b")
    site.world.drivers = replace(site.world.drivers, compute=compute)
    site.settle(key)
    assert site.homes(key) == ["a", "a"]
    assert site.part() == 0
    later = HandClock(datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=AGAIN + 60))
    heard = t.amphora_health.update().values(last_update=later.now())
    with site.database.write() as connection:
        connection.execute(heard)
    assert site.part(clock=later) == 1


def put_zone(site: Site, name: str) -> None:
    with site.database.write() as connection:
        profile = {"id": name, "name": name, "provider_name": "amphora", "availability_zone_data": "{}"}
        connection.execute(insert(t.availability_zone_profile).values(**profile))
        offered = {"name": name, "enabled": True, "availability_zone_profile_id": name}
        connection.execute(insert(t.availability_zone).values(**offered))


def test_two_hosts_of_one_zone_are_left_for_another_zone_if_that_has_room(site: Site) -> None:
    site.host("a", zone="east")
    site.host("b", zone="east")
    key, bound = site.pair(), site.pair()
    put_zone(site, "east")
    site.change(t.load_balancer, bound, availability_zone="east")
    assert (site.homes(key), site.homes(bound)) == (["a", "b"], ["a", "b"])
    site.host("c", zone="west", capacity=0)
    assert site.part() == 0
    site.host("c", zone="west")
    assert site.part(compute=Hosts(site.database, silence=SILENCE, answers=lambda host: host.id != "c")) == 0
    standby = site.standby(key)
    assert site.part() == 1
    assert site.asked(bound) == []
    assert site.sentences(key) == [
        f"Amphora {standby} is replaced: it shares availability zone east with the other of its pair, and host c of "
        "another has room."
    ]
    site.settle(key)
    assert "c" in site.homes(key)
    assert site.part() == 0


def test_a_load_balancer_of_a_zone_is_parted_within_it(site: Site) -> None:
    site.host("a", zone="east")
    key = site.pair()
    put_zone(site, "east")
    site.change(t.load_balancer, key, availability_zone="east")
    site.host("c", zone="west")
    assert site.part() == 0
    site.host("b", zone="east")
    assert site.part() == 1
    site.settle(key)
    assert site.homes(key) == ["a", "b"]
