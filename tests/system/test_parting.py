"""Pairs that were made while there was one host are parted by the house once there is another: nobody who asks their
VIPs notices, the VIPs stay where they are, and nothing moves after that."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from livia.agent.config import AgentConfig
from livia.core.drivers import PlacementPreview
from livia.core.wake import NoWake
from livia.house.apart import AGAIN, Apart
from livia.ops.demo import faults
from livia.ops.demo.load import Load
from tests.house.turns import HandClock, done
from tests.system.conftest import System
from tests.system.hosts import SECOND, SecondHost, has_vip, homes
from tests.system.test_lifecycle import amphorae_of, create, delete
from tests.system.test_planned_failover import roles_of
from tests.waiting import wait_for

#: seconds until the house looks for pairs, which it does once a minute, and until workers are done
_PARTED = 150.0
_HOUR = 3600.0


@pytest.fixture
def second(system: System) -> Iterator[SecondHost]:
    """Not started yet."""
    made = SecondHost(system)
    try:
        yield made
    finally:
        made.close()


class Pair:
    """A load balancer of two amphorae, as databases and kernels show it."""

    def __init__(self, system: System, second: SecondHost, name: str, backends: dict[str, str]) -> None:
        self._system = system
        self._second = second
        self.load_balancer = create(system, name, backends)
        self.key: str = self.load_balancer["id"]
        self.vip: str = self.load_balancer["vip_address"]

    def homes(self) -> dict[str, str]:
        """Amphora id to host."""
        everywhere = homes(self._system)
        return {each: everywhere[each] for each in amphorae_of(self._system, self.key) if each in everywhere}

    def masters(self) -> set[str]:
        """Those with the VIP on an interface."""
        return {each for each, home in self.homes().items() if has_vip(self._config(home), each, self.vip)}

    def master(self) -> str:
        """The one that has the VIP, once its heartbeats said so."""
        wait_for(lambda: self._told() == self.masters() and len(self.masters()) == 1, 30, "one amphora has the VIP")
        (found,) = self.masters()
        return found

    def switch(self) -> str:
        """Have the other one take the VIP: its id."""
        before = self.master()
        faults.kill_haproxy(self._config(self.homes()[before]), before)
        wait_for(lambda: self.masters() == self.homes().keys() - {before}, 30, "the peer has the VIP")
        return self.master()

    def parted(self) -> bool:
        """Whether each host has one, and nothing is under way."""
        status = self._system.api.get(f"/loadbalancers/{self.key}")["loadbalancer"]["provisioning_status"]
        found = self.homes().values()
        return status == "ACTIVE" and len(found) == 2 and len(set(found)) == 2

    def asked(self) -> list[dict[str, Any]]:
        """The events of amphorae that were asked to leave."""
        events: list[dict[str, Any]] = self._system.api.get(f"/loadbalancers/{self.key}/events")["events"]
        return [each for each in events if each["code"] == "amphora.apart"]

    def _told(self) -> set[str]:
        return {each for each, holds in amphorae_of(self._system, self.key).items() if holds}

    def _config(self, home: str) -> AgentConfig:
        return self._second.config if home == SECOND else self._system.livia.installation.agent_config()


def load_on(pair: Pair, *, fresh: bool) -> Load:
    """Lighter than that of other tests: it goes on for a minute."""
    return Load(pair.vip, 80, clients=2, pause=0.01, fresh=fresh, timeout=5.0)


def moved_an_hour_later(system: System) -> int:
    """How many amphorae the house would ask to move when it no longer minds that it asked."""
    installation = system.livia.installation
    database = installation.database()
    compute = installation.hosts(database)
    assert isinstance(compute, PlacementPreview)
    later = HandClock(datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=_HOUR))
    assert AGAIN < _HOUR
    job = Apart(database, later, compute, NoWake(), interval=0.0, heard=2 * _HOUR)
    # Until its next turn the installation's own house keeps the job of that name.
    job.name = "apart later"
    found = done(database, job)
    database.close()
    return found.done


def test_pairs_of_one_host_are_parted_under_load_when_another_comes(system: System, second: SecondHost) -> None:
    backends = {name: system.stage.start_backend(name) for name in ("web-1", "web-2")}
    first = system.livia.installation.state.host_name
    pairs = [Pair(system, second, name, backends) for name in ("as-made", "switched")]
    # Of the second pair it is the amphora with the higher priority that goes, and comes back beside one that serves.
    masters = [pairs[0].master(), pairs[1].switch()]
    before = [pair.homes() for pair in pairs]
    assert [set(each.values()) for each in before] == [{first}, {first}]
    with ExitStack() as stack:
        loads = [stack.enter_context(load_on(pair, fresh=fresh)) for pair in pairs for fresh in (False, True)]
        second.start()
        wait_for(lambda: all(pair.parted() for pair in pairs), _PARTED, "both pairs are parted")
        assert [pair.master() for pair in pairs] == masters
    assert [load.faults() for load in loads] == [[], [], [], []]
    assert all(load.total() > 100 for load in loads)
    after = [pair.homes() for pair in pairs]
    for pair, master, there in zip(pairs, masters, after, strict=True):
        (newcomer,) = there.keys() - {master}
        assert there == {master: first, newcomer: SECOND}
        assert roles_of(system, pair.key) == [("BACKUP", "ALLOCATED", 250), ("MASTER", "ALLOCATED", 254)]
        (event,) = pair.asked()
        assert event["message"].endswith(
            f"it shares host {first} with the other of its pair, and host {SECOND} has room."
        )
    assert moved_an_hour_later(system) == 0
    assert [len(pair.asked()) for pair in pairs] == [1, 1]
    # Who came takes over from who stayed, and gives the VIP back.
    for pair, master in zip(pairs, masters, strict=True):
        assert pair.homes()[pair.switch()] == SECOND
        with load_on(pair, fresh=True) as load:
            wait_for(lambda load=load: len(load.who()) == 2, 30, "both backends answer")  # type: ignore[misc]
        assert load.faults() == []
        assert pair.switch() == master
    assert [pair.homes() for pair in pairs] == after
    for pair in pairs:
        delete(system, pair.load_balancer)
