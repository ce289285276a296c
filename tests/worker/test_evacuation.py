"""Amphora hosts that are drained, lost and removed: their amphorae move, and nothing else is disturbed."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import select, update

from livia.core.clock import SystemClock
from livia.core.drivers import DriverError, Placement, Unreachable
from livia.core.report import Applied, HostFacts
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.host import Hosts
from livia.house.apart import Apart
from livia.ops.hosts import worst
from livia.services import hosts as services
from livia.services.hosts import HostError
from livia.store import amphorae, events, hosts, trees, work
from livia.store import tables as t
from livia.worker.outcome import Again, Done, Failed
from tests.house.turns import done
from tests.worker.world import World

SILENCE = 60.0
PENDING = "PENDING_UPDATE"


class Site:
    """A world with hosts of a capacity each, and a pair on them."""

    def __init__(self, directory: Path, *names: str, capacity: int = 10) -> None:
        self.world = World(directory)
        self.world.drivers = replace(self.world.drivers, compute=Hosts(self.world.database, silence=SILENCE))
        self.capacity = capacity
        self.hear(*names)
        self.key = self.world.load_balancer("ACTIVE_STANDBY")

    def hear(self, *names: str) -> None:
        facts = HostFacts(address="192.0.2.1", agent_port=1, capacity=self.capacity, amphorae=0)
        with self.world.database.write() as connection:
            for name in names:
                hosts.seen(connection, name, facts)

    def silence(self, name: str) -> None:
        """A host was not heard of for long."""
        with self.world.database.write() as connection:
            connection.execute(update(t.amphora_host).where(t.amphora_host.c.id == name).values(last_seen=0.0))

    def homes(self) -> list[str]:
        """The host of each amphora; which of two is the master's is up to which was placed first."""
        with self.world.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        return sorted(each.compute_id or "" for each in tree.amphorae)

    def status(self) -> str:
        with self.world.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        return tree.load_balancer.provisioning_status

    def sentences(self) -> list[str]:
        with self.world.database.read() as connection:
            return [entry.message for entry, _when in events.of_load_balancer(connection, self.key)]

    def due(self) -> list[tuple[str, int]]:
        with self.world.database.read() as connection:
            return [tuple(row) for row in connection.execute(select(t.work.c.key, t.work.c.priority))]

    def states(self) -> dict[str, str]:
        return {each.host.id: each.state for each in services.view(self.world.database, SILENCE)}

    def drain(self, name: str) -> int:
        return services.drain(self.world.database, NoWake(), name)


def test_a_drained_host_is_left_and_nothing_comes_back_to_it(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    site.world.reconcile(site.key)
    assert site.homes() == ["a", "b"]
    assert site.drain("a") == 1
    assert site.states()["a"] == "draining: 1 left"
    site.world.reconcile(site.key)
    assert site.homes() == ["b", "c"]
    assert site.status() == "ACTIVE"
    assert site.states() == {"a": "drained", "b": "in service", "c": "in service"}
    assert any(each.endswith("amphora is being replaced: host a is being drained.") for each in site.sentences())
    assert site.world.amphorae.present() == set(_amphorae(site))
    services.undrain(site.world.database, NoWake(), "a")
    assert site.states()["a"] == "in service"
    site.world.reconcile(site.key)
    assert site.homes() == ["b", "c"]


def _amphorae(site: Site) -> list[str]:
    with site.world.database.read() as connection:
        tree = trees.load(connection, site.key)
    assert tree is not None
    return [each.id for each in tree.amphorae]


def test_draining_is_work_that_comes_after_what_tenants_ask_for(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    site.world.reconcile(site.key)
    with site.world.database.write() as connection:
        connection.execute(t.work.delete())
    site.drain("a")
    assert site.due() == [(site.key, 30)]


def test_where_nothing_has_room_all_goes_on_as_it_is_and_the_reason_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", capacity=1)
    site.world.reconcile(site.key)
    before = _amphorae(site)
    site.drain("a")
    outcome = site.world.attempt(site.key, spent=1000.0)
    assert isinstance(outcome, Again)
    assert (
        outcome.reason
        == "The only amphora host is full: raise its capacity ([livia] host_capacity), or add one (livia host add)."
    )
    assert (site.status(), _amphorae(site)) == ("ACTIVE", before)
    assert outcome.reason in site.sentences()
    site.hear("c")
    site.world.reconcile(site.key)
    assert site.homes() == ["b", "c"]


@pytest.mark.parametrize("lacking", ["a failover that was asked for", "a dead amphora"])
def test_what_tenants_change_is_done_while_an_amphora_waits_for_a_place(tmp_path: Path, lacking: str) -> None:
    """It is what clients meet: it was PENDING until there was room, and what was deleted for good."""
    site = Site(tmp_path, "a", "b", capacity=1)
    site.world.reconcile(site.key)
    with site.world.database.write() as connection:
        if lacking == "a dead amphora":
            connection.execute(update(t.amphora).where(t.amphora.c.role == "MASTER").values(status="ERROR"))
        else:
            amphorae.request_failover(connection, site.key, site.world.clock.now())
        connection.execute(update(t.amphora_host).where(t.amphora_host.c.id == "a").values(capacity=0))
        connection.execute(update(t.amphora_host).where(t.amphora_host.c.id == "b").values(capacity=0))
        top = t.load_balancer.c
        connection.execute(update(t.load_balancer).values(generation=top.generation + 1, provisioning_status=PENDING))
        newest = select(top.generation).scalar_subquery()
        connection.execute(update(t.listener).values(generation=newest, provisioning_status=PENDING))
        connection.execute(update(t.member).values(generation=newest, provisioning_status="PENDING_DELETE"))

    def statuses() -> list[str]:
        with site.world.database.read() as connection:
            return [
                *connection.execute(select(t.listener.c.provisioning_status)).scalars(),
                *connection.execute(select(t.member.c.provisioning_status)).scalars(),
            ]

    assert isinstance(site.world.attempt(site.key), Again)
    assert (site.status(), statuses()) == (PENDING, ["ACTIVE"])
    assert isinstance(site.world.attempt(site.key, spent=301.0), Failed)
    assert (site.status(), statuses()) == ("ERROR", ["ACTIVE"])
    site.hear("c", "d")
    site.world.reconcile(site.key)
    assert (site.status(), statuses()) == ("ACTIVE", ["ACTIVE"])
    assert len(set(site.homes()) - {"a", "b"}) == (1 if lacking == "a dead amphora" else 2)


def test_who_found_no_place_is_tried_at_once_when_a_host_is_undrained(tmp_path: Path) -> None:
    site = Site(tmp_path, "a")
    site.drain("a")
    outcome = site.world.attempt(site.key)
    assert isinstance(outcome, Again)
    with site.world.database.write() as connection:
        (taken,) = (row.version for row in connection.execute(select(t.work)))
        assert work.again(connection, site.key, taken, 30.0, outcome.reason)
        # Another worker begins, and looks before the host is undrained.
        connection.execute(update(t.work).values(due=0.0))
    services.undrain(site.world.database, NoWake(), "a")
    with site.world.database.write() as connection:
        assert not work.again(connection, site.key, taken, 30.0, outcome.reason), "it is to look again"
        (due,) = work.due(connection, 1, 1)
    assert due.key == site.key
    site.world.reconcile(site.key)
    assert site.homes() == ["a", "a"]


def replaced(site: Site) -> dict[str, float]:
    """Replacements that the worker counted, by cause."""
    (family,) = (each for each in site.world.registry.collect() if each.name == "livia_replacements")
    return {each.labels["cause"]: each.value for each in family.samples if each.name.endswith("_total")}


def test_replacements_are_counted_by_their_cause(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    site.world.reconcile(site.key)
    # Those of a load balancer that is being made replace nobody.
    assert replaced(site) == {"requested": 0.0, "drained": 0.0, "dead": 0.0, "missing": 0.0}
    site.drain("a")
    site.world.reconcile(site.key)
    with site.world.database.write() as connection:
        amphorae.request_failover(connection, site.key, site.world.clock.now())
    site.world.reconcile(site.key)
    with site.world.database.write() as connection:
        (one, _other) = _amphorae(site)
        connection.execute(update(t.amphora).where(t.amphora.c.id == one).values(status="ERROR"))
    site.world.reconcile(site.key)
    assert replaced(site) == {"requested": 2.0, "drained": 1.0, "dead": 1.0, "missing": 0.0}


def test_a_lost_host_is_removed_and_what_was_on_it_is_built_elsewhere(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    site.world.reconcile(site.key)
    with pytest.raises(
        HostError, match=r"ago: drain it first \(livia host drain a\), then end its agent, and wait 60 s"
    ):
        services.remove(site.world.database, NoWake(), site.world.clock, "a", SILENCE)
    site.drain("a")
    sentence = (
        r"ago and is being drained, 1 amphora is left: when none is \(livia host list\), end its agent, and wait 60 s"
    )
    with pytest.raises(HostError, match=sentence):
        services.remove(site.world.database, NoWake(), site.world.clock, "a", SILENCE)
    with pytest.raises(HostError, match=r"There is no amphora host x\. Known: a, b, c\."):
        site.drain("x")
    site.silence("a")
    assert site.states()["a"].startswith("lost: silent for")
    assert services.remove(site.world.database, NoWake(), site.world.clock, "a", SILENCE) == 1
    assert site.due()[-1] == (site.key, 10)
    # Nobody can be asked to remove what is on it: it counts as gone.
    site.world.reconcile(site.key)
    assert site.homes() == ["b", "c"]
    assert "a" not in site.states()
    assert any("its host a was removed" in each for each in site.sentences())


class Hung(NoopAmphorae):
    """The agents of one host do not answer."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        if placement.compute_id == self._host:
            raise Unreachable("The agent did not answer.")
        return super().apply(placement, assignment)


def test_an_amphora_whose_host_is_lost_while_it_is_built_is_built_elsewhere(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    agents = Hung("a")
    first = site.world.attempt(site.key, agents=agents)
    assert isinstance(first, Again)
    assert first.reason == "The agent did not answer."
    assert site.homes() == ["a", "b"]
    site.hear("c")
    site.silence("a")
    assert isinstance(site.world.attempt(site.key, agents=agents), Done)
    assert site.homes() == ["b", "c"]
    assert site.status() == "ACTIVE"
    assert any("host a was not heard of for" in each for each in site.sentences())


def test_when_no_host_is_heard_none_counts_as_lost(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    agents = Hung("a")
    site.world.attempt(site.key, agents=agents)
    for name in ("a", "b"):
        site.silence(name)
    outcome = site.world.attempt(site.key, agents=agents)
    assert isinstance(outcome, Again)
    assert site.homes() == ["a", "b"]


def test_two_workers_do_not_take_the_same_place(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", capacity=4)
    keys = [site.key, *(site.world.load_balancer("ACTIVE_STANDBY") for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(site.world.attempt, keys))
    assert all(isinstance(each, Done) for each in outcomes), outcomes
    with site.world.database.read() as connection:
        rows = connection.execute(select(t.amphora.c.load_balancer_id, t.amphora.c.compute_id)).all()
    assert Counter(row.compute_id for row in rows) == {"a": 4, "b": 4}
    assert len(set(rows)) == 8
    one_more = site.world.load_balancer("SINGLE")
    outcome = site.world.attempt(one_more)
    assert isinstance(outcome, Again)
    assert "Each of 2 amphora hosts is full" in outcome.reason


def test_the_cost_of_the_worst_hosts_loss_is_told(tmp_path: Path) -> None:
    site = Site(tmp_path, "a")
    assert worst(services.view(site.world.database, SILENCE)) == "No load balancer depends on any host."
    site.world.reconcile(site.key)
    assert worst(services.view(site.world.database, SILENCE)) == (
        "The loss of host a, the worst, takes 1 of 1 load balancers down until they are built anew, and interrupts 1 "
        "(100%) in all."
    )
    site.hear("b")
    site.drain("a")
    site.world.reconcile(site.key)
    services.undrain(site.world.database, NoWake(), "a")
    assert site.homes() == ["b", "b"]


class Touched(NoopAmphorae):
    """Remembers which amphorae were removed."""

    def __init__(self) -> None:
        super().__init__()
        self.removed: list[str] = []

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        self.removed.append(amphora_id)
        super().remove(placement, amphora_id, fence)


def settle(site: Site, agents: NoopAmphorae | None = None) -> None:
    """The worker is done with all that was asked for."""
    assert isinstance(site.world.attempt(site.key, agents=agents), Done)
    with site.world.database.write() as connection:
        connection.execute(t.work.delete())


def by_vip(site: Site) -> dict[bool, str]:
    """The amphora that holds the VIP (True), and the one that does not."""
    with site.world.database.read() as connection:
        tree = trees.load(connection, site.key)
    assert tree is not None
    return {each.holds_vip: each.id for each in tree.amphorae}


def part(site: Site) -> int:
    """A turn of the house: how many pairs are parted."""
    world = site.world
    compute = Hosts(world.database, silence=SILENCE)
    return done(world.database, Apart(world.database, SystemClock(), compute, NoWake(), interval=0.0, heard=60.0)).done


def parted(site: Site) -> None:
    """The house has the pair parted, and the worker does it: once, and with no eye on the VIP."""
    before, agents = by_vip(site), Touched()
    assert part(site) == 1
    assert site.due() == [(site.key, 30)]
    settle(site, agents)
    after = by_vip(site)
    assert (after[True], agents.removed) == (before[True], [before[False]])
    assert site.homes() == ["a", "b"]
    assert site.status() == "ACTIVE"
    assert part(site) == 0
    assert site.due() == []


def test_a_pair_of_hosts_that_were_drained_in_turn_is_parted_again(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b")
    settle(site)
    for name in ("a", "b"):
        site.drain(name)
        settle(site)
        services.undrain(site.world.database, NoWake(), name)
        settle(site)
    assert site.homes() == ["a", "a"]
    assert " takes 1 of 1 load balancers down " in worst(services.view(site.world.database, SILENCE))
    parted(site)
    assert " takes 0 of 1 load balancers down " in worst(services.view(site.world.database, SILENCE))


def test_a_pair_that_was_made_on_the_only_host_is_parted_when_there_is_another(tmp_path: Path) -> None:
    site = Site(tmp_path, "a")
    settle(site)
    assert site.homes() == ["a", "a"]
    assert part(site) == 0
    site.hear("b")
    parted(site)


def test_no_place_says_why(tmp_path: Path) -> None:
    site = Site(tmp_path, "a")
    site.silence("a")
    with site.world.database.read() as connection:
        tree = trees.load(connection, site.key)
    assert tree is not None
    why = site.world.drivers.compute.full(tree.load_balancer)
    assert why == "No amphora host is alive: start one, or wait for its next heartbeat."


def test_a_host_that_was_just_lost_gets_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    lost = {"a"}
    compute = Hosts(site.world.database, silence=SILENCE, answers=lambda host: host.id not in lost)
    assert isinstance(site.world.attempt(site.key, compute=compute), Done)
    assert site.homes() == ["b", "c"]
    lost |= {"b", "c"}
    outcome = site.world.attempt(site.world.load_balancer("SINGLE"), compute=compute)
    assert isinstance(outcome, Again)
    assert outcome.reason.endswith("No answer comes from a, b, c.")


class Refusing(NoopAmphorae):
    """The agents of some hosts answer, and can build nothing."""

    def __init__(self, *hosts: str, code: str = "plumbing_failed") -> None:
        super().__init__()
        self.hosts = set(hosts)
        self.code = code
        self.asked: list[str] = []

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        self.asked.append(placement.compute_id)
        if placement.compute_id in self.hosts:
            raise DriverError("No space left on device.", code=self.code)
        return super().apply(placement, assignment)


def test_a_host_on_which_nothing_can_be_built_draws_nothing(tmp_path: Path) -> None:
    """It is the emptiest: everything that is made, and what replaces the dead, would go there, and wait in vain."""
    site = Site(tmp_path, "a", "b", "c")
    agents = Refusing("a")
    assert isinstance(site.world.attempt(site.key, agents=agents), Done)
    assert site.homes() == ["b", "c"]
    assert agents.asked.count("a") == 1
    sentence = "could not be built on host a, and another is built elsewhere: No space left on device."
    assert sum(sentence in each for each in site.sentences()) == 1
    # Nobody tries it again at once, for whichever load balancer.
    site.key = site.world.load_balancer("ACTIVE_STANDBY")
    assert isinstance(site.world.attempt(site.key, agents=agents), Done)
    assert site.homes() == ["b", "c"]
    assert agents.asked.count("a") == 1


def test_where_nothing_can_be_built_anywhere_it_is_tried_again_where_it_was(tmp_path: Path) -> None:
    site = Site(tmp_path, "a", "b", "c")
    agents = Refusing("a", "b", "c")
    for _try in range(3):
        outcome = site.world.attempt(site.key, agents=agents)
        assert isinstance(outcome, Again)
        assert outcome.reason == "No space left on device."
    tries = len(agents.asked)
    homes = site.homes()
    assert isinstance(site.world.attempt(site.key, agents=agents), Again)
    assert (len(agents.asked), site.homes()) == (tries + 2, homes)
    agents.hosts.clear()
    assert isinstance(site.world.attempt(site.key, agents=agents), Done)
    assert site.status() == "ACTIVE"


def test_what_is_no_hosts_fault_moves_nothing(tmp_path: Path) -> None:
    """E.g. a subnet of members without a free address: no other host has one."""
    site = Site(tmp_path, "a", "b", "c")
    agents = Refusing("a", code="no_address")
    for _try in range(2):
        assert isinstance(site.world.attempt(site.key, agents=agents), Again)
    assert site.homes() == ["a", "b"]
