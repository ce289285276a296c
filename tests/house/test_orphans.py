"""What nobody owns is listed first, and removed when it is seen again; never what somebody is at."""

from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, select, update
from structlog.contextvars import get_contextvars

from livia.core.clock import SystemClock
from livia.core.drivers import DriverError, Placement, Unreachable
from livia.core.report import Held, HostFacts
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.network.local import LocalNetworks
from livia.house.orphans import Orphans
from livia.house.runner import Outcome
from livia.store import events, hosts, leases, orphans, work
from livia.store import tables as t
from tests import database as rows
from tests.house.turns import done, turn


class Fleet(NoopAmphorae):
    """Hosts, each with what its agent holds."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, dict[str, Held]] = {"host-1": {}, "host-2": {}}
        self.silent: set[str] = set()
        self.removed: list[str] = []
        #: what the agents' logs are told to call the removals
        self.told: set[object] = set()

    def put(self, host: str, amphora_id: str, **values: object) -> None:
        self.held[host][amphora_id] = Held(amphora_id=amphora_id, **values)  # type: ignore[arg-type]

    def inventory(self, placement: Placement) -> tuple[Held, ...] | None:
        if placement.compute_id in self.silent:
            raise Unreachable(f"{placement.compute_id} is silent")
        return tuple(self.held[placement.compute_id].values())

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        if self.held[placement.compute_id][amphora_id].fence > fence:
            raise DriverError("Fence is older.", code="stale_fence", status=409)
        del self.held[placement.compute_id][amphora_id]
        self.removed.append(amphora_id)
        self.told.add(get_contextvars().get("request_id"))


class Place:
    """A database, local networks, two hosts."""

    def __init__(self, directory: Path) -> None:
        self.database = rows.fresh(directory)
        self.network = LocalNetworks(self.database, SystemClock())
        self.net = self.network.create("tenant", "10.0.0.0/24")
        self.fleet = Fleet()
        self.registry = CollectorRegistry()
        for host in ("host-1", "host-2"):
            facts = HostFacts(address="192.0.2.1", agent_port=1, capacity=10, amphorae=0)
            with self.database.write() as connection:
                hosts.seen(connection, host, facts)

    def job(self) -> Orphans:
        return Orphans(
            self.database,
            SystemClock(),
            self.network,
            self.fleet,
            CollectorRegistry(),
            interval=0.0,
            grace=60.0,
        )

    def look(self) -> Outcome:
        return done(self.database, self.job())

    def wait(self, seconds: float) -> None:
        """The database's clock goes on."""
        with self.database.write() as connection:
            connection.execute(update(t.orphan).values(first_seen=t.orphan.c.first_seen - seconds))

    def listed(self) -> set[str]:
        with self.database.read() as connection:
            return {orphan.name for orphan, _known_for in orphans.seen(connection)}

    def vip_port(self, load_balancer_id: str) -> str:
        return self.network.create_vip_port(
            load_balancer_id, "project", self.net.id, ((self.net.subnet_ids[0], None),)
        ).id

    def load_balancer(self, status: str) -> str:
        key = rows.put_load_balancer(self.database, port_id=str(uuid4()))
        with self.database.write() as connection:
            connection.execute(
                update(t.load_balancer).where(t.load_balancer.c.id == key).values(provisioning_status=status)
            )
            connection.execute(t.work.delete())
        return key

    def amphora(self, owner: str | None, *, status: str = "ALLOCATED", host: str | None = "host-1") -> str:
        key = str(uuid4())
        with self.database.write() as connection:
            values = {"id": key, "load_balancer_id": owner, "status": status, "compute_id": host, "role": "MASTER"}
            connection.execute(insert(t.amphora).values(**values))
        return key


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_has_an_owner_is_left_alone(place: Place) -> None:
    key = place.load_balancer("ACTIVE")
    place.vip_port(key)
    amphora = place.amphora(key)
    place.fleet.put("host-1", amphora, load_balancer_id=key, fence=3)
    booting = place.amphora(key, status="PENDING_CREATE", host=None)
    place.fleet.put("host-2", booting, known=False, remains=("files",))
    place.network.create_port("a user's", place.net)
    place.network.ensure_port("a backend", place.net.id, place.net.subnet_ids[0])
    for _look in range(3):
        assert place.look().reason == "everything has an owner"
        place.wait(100)
    assert len(place.network.ports()) == 3
    assert place.fleet.removed == []


def test_orphans_are_listed_and_removed_only_when_they_are_seen_again_after_the_grace(place: Place) -> None:
    gone = place.load_balancer("DELETED")
    port = place.vip_port(gone)
    lost, row = str(uuid4()), place.amphora(gone, host=None)
    place.fleet.put("host-1", lost, load_balancer_id=gone, fence=7)
    rests = str(uuid4())
    place.fleet.put("host-2", rests, known=False, remains=("a namespace", "processes"))
    assert place.look().reason == "4 things are nobody's, 0 were removed"
    assert place.listed() == {port, lost, rests, row}
    place.wait(30)
    assert place.look().done == 0
    place.wait(31)
    assert place.look().done == 4
    assert place.listed() == set()
    assert sorted(place.fleet.removed) == sorted([lost, rests])
    assert place.network.ports() == ()
    with place.database.read() as connection:
        # The worker takes the row, and removes whatever is there of it.
        asked = work.one(connection, row)
        left = connection.execute(select(t.amphora).where(t.amphora.c.id == row)).one()
        told = {entry.message: entry.request_id for entry, _at in events.of_load_balancer(connection, gone)}
    assert (left.load_balancer_id, left.status) == (None, "PENDING_DELETE")
    assert told[f"Host host-1 runs amphora {lost}, which is gone. It was removed."] in place.fleet.told
    assert None not in place.fleet.told
    assert asked is not None
    assert asked.request_id in set(told.values()) - {None}
    assert place.look().reason == "everything has an owner"


def test_what_got_an_owner_between_two_looks_is_struck_off(place: Place) -> None:
    """The API makes a port before the load balancer's row is committed."""
    key = str(uuid4())
    port = place.vip_port(key)
    place.look()
    assert place.listed() == {port}
    place.wait(1000)
    with place.database.write() as connection:
        values = {"project_id": "p", "enabled": True, "operating_status": "OFFLINE", "created_at": rows.NOW}
        connection.execute(
            insert(t.load_balancer).values(id=key, provisioning_status="PENDING_CREATE", generation=1, **values)
        )
    assert place.look().done == 0
    assert place.listed() == set()
    assert [each.id for each in place.network.ports()] == [port]


@pytest.mark.parametrize("at_it", ["lease on the load balancer", "lease on the amphora", "work"])
def test_nothing_is_removed_that_a_worker_is_at(place: Place, at_it: str) -> None:
    gone, lost = place.load_balancer("DELETED"), str(uuid4())
    place.fleet.put("host-1", lost, load_balancer_id=gone, fence=7)
    place.look()
    place.wait(100)
    with place.database.write() as connection:
        if at_it == "work":
            work.request(connection, gone, project_id=None)
        else:
            leases.take(connection, lost if "amphora" in at_it else gone, "worker", 60.0)
    assert place.look().done == 0
    assert place.listed() == {lost}
    with place.database.write() as connection:
        connection.execute(update(t.lease).where(t.lease.c.owner == "worker").values(expires=0.0))
        connection.execute(t.work.delete())
    assert place.look().done == 1


def test_a_newer_change_of_an_amphora_outlives_its_removal(place: Place) -> None:
    lost = str(uuid4())
    place.fleet.put("host-1", lost, fence=7)
    place.look()
    place.wait(100)

    class Meanwhile(Fleet):
        """A worker puts it there again after the look."""

        def inventory(self, placement: Placement) -> tuple[Held, ...] | None:
            seen = place.fleet.inventory(placement)
            if placement.compute_id == "host-1":
                place.fleet.put("host-1", lost, fence=8)
            return seen

        def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
            place.fleet.remove(placement, amphora_id, fence)

    job = Orphans(
        place.database, SystemClock(), place.network, Meanwhile(), CollectorRegistry(), interval=0.0, grace=60.0
    )
    assert done(place.database, job).done == 0
    assert lost in place.fleet.held["host-1"]


def test_a_host_that_does_not_answer_keeps_what_is_listed_of_it(place: Place) -> None:
    lost = str(uuid4())
    place.fleet.put("host-1", lost, fence=7)
    place.look()
    place.wait(100)
    place.fleet.silent.add("host-1")
    assert place.look().done == 0
    assert place.listed() == {lost}
    place.fleet.silent.clear()
    assert place.look().done == 1


def test_of_a_host_that_was_forgotten_nothing_stays_listed(place: Place) -> None:
    place.fleet.put("host-1", str(uuid4()), fence=7)
    other = str(uuid4())
    place.fleet.put("host-2", other, fence=7)
    place.look()
    with place.database.write() as connection:
        hosts.remove(connection, "host-1")
    place.look()
    assert place.listed() == {other}


def test_an_amphora_on_another_host_than_its_row_says_is_removed_there_alone(place: Place) -> None:
    amphora = place.amphora(place.load_balancer("ACTIVE"), host="host-1")
    place.fleet.put("host-1", amphora, fence=9)
    place.fleet.put("host-2", amphora, fence=4)
    place.look()
    place.wait(100)
    assert place.look().done == 1
    assert [list(held) for held in place.fleet.held.values()] == [[amphora], []]


def test_a_restored_database_removes_no_fleet(place: Place) -> None:
    kept = place.amphora(place.load_balancer("ACTIVE"))
    place.fleet.put("host-1", kept, fence=1)
    for _ in range(12):
        place.fleet.put("host-1", str(uuid4()), fence=1)
    port = place.vip_port(str(uuid4()))
    place.look()
    place.wait(1000)
    outcome = place.look()
    assert "12 of 13 amphorae on hosts are in no row: that looks like a wrong or restored database" in outcome.reason
    assert place.fleet.removed == []
    assert port not in {each.id for each in place.network.ports()}


def test_a_port_that_a_user_brought_is_given_back(place: Place) -> None:
    gone = place.load_balancer("DELETED")
    port = place.network.create_port("mine", place.net)
    place.network.claim_vip_port(port.id, gone)
    place.look()
    place.wait(100)
    assert place.look().done == 1
    left = place.network.port(port.id)
    assert left is not None
    assert left.device_id == ""


def test_a_removal_that_fails_is_tried_again_and_holds_up_no_other(place: Place) -> None:
    ids = sorted(str(uuid4()) for _ in range(3))
    for each in ids:
        place.fleet.put("host-1", each, fence=1)
    place.look()
    place.wait(100)

    class Broken(Fleet):
        def inventory(self, placement: Placement) -> tuple[Held, ...] | None:
            return place.fleet.inventory(placement)

        def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
            if amphora_id == ids[0]:
                raise DriverError("cgroup.kill failed", code="plumbing_failed")
            place.fleet.remove(placement, amphora_id, fence)

    job = Orphans(place.database, SystemClock(), place.network, Broken(), CollectorRegistry(), interval=0.0, grace=60.0)
    assert done(place.database, job).done == 2
    assert place.listed() == {ids[0]}
    assert place.look().done == 1


def test_two_houses_at_once_remove_each_orphan_once(place: Place) -> None:
    ids = [str(uuid4()) for _ in range(8)]
    for each in ids:
        place.fleet.put("host-1", each, fence=1)
    place.look()
    place.wait(100)
    outcomes: list[Outcome | None] = []
    houses = [
        Thread(target=lambda owner=owner: outcomes.append(turn(place.database, place.job(), owner=owner)))
        for owner in ("one", "two")
    ]
    for house in houses:
        house.start()
    for house in houses:
        house.join()
    assert sorted(place.fleet.removed) == sorted(ids)
    assert sum(outcome.done for outcome in outcomes if outcome is not None) == 8


def test_only_the_house_that_looks_for_orphans_tells_scrapes_of_them(place: Place) -> None:
    """What another one found when it had the job is over, and would be told for good."""
    registries = {owner: CollectorRegistry() for owner in ("one", "two")}
    houses = {
        owner: Orphans(place.database, SystemClock(), place.network, place.fleet, registry, interval=60.0, grace=60.0)
        for owner, registry in registries.items()
    }

    def told(owner: str) -> float | None:
        return registries[owner].get_sample_value("livia_orphans", {"kind": "amphora"})

    place.fleet.put("host-1", str(uuid4()), fence=7)
    assert turn(place.database, houses["one"], owner="one") is not None
    assert (told("one"), told("two")) == (1, None)
    assert turn(place.database, houses["two"], owner="two") is None
    assert (told("one"), told("two")) == (1, None)
    place.fleet.held["host-1"].clear()
    with place.database.write() as connection:
        connection.execute(update(t.lease).values(expires=0.0))
    assert turn(place.database, houses["two"], owner="two") is not None
    assert turn(place.database, houses["one"], owner="one") is None
    assert (told("one"), told("two")) == (None, 0)
