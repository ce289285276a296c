"""Failovers that somebody asks for, under constant load."""

import time
from typing import Any

import pytest
from sqlalchemy import select

from livia.agent.names import Names
from livia.ops.demo import faults
from livia.store import tables as t
from tests.system.conftest import System
from tests.system.test_lifecycle import amphorae_of, create, delete, load_on
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def backends(system: System) -> dict[str, str]:
    return {name: system.stage.start_backend(name) for name in ("web-1", "web-2", "web-3")}


def roles_of(system: System, key: str) -> list[tuple[str, str, int | None]]:
    """Role, status and VRRP priority of each amphora of a load balancer."""
    table = t.amphora.c
    query = select(table.role, table.status, table.vrrp_priority).where(
        table.load_balancer_id == key, table.status != "DELETED"
    )
    with system.livia.installation.database().read() as connection:
        return sorted(tuple(row) for row in connection.execute(query))


def fail_over(system: System, load_balancer: dict[str, Any]) -> None:
    system.api.put(f"/loadbalancers/{load_balancer['id']}/failover", {})
    system.api.wait_active(load_balancer["id"], seconds=60.0)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_pair_is_replaced_under_load(system: System, backends: dict[str, str], fresh: bool) -> None:
    load_balancer = create(system, "planned", backends)
    key = load_balancer["id"]
    wait_for(lambda: any(amphorae_of(system, key).values()), 30, "an amphora reports that it holds the VIP")
    before = amphorae_of(system, key)
    with load_on(load_balancer, fresh=fresh) as load:
        time.sleep(0.5)
        fail_over(system, load_balancer)
        time.sleep(0.5)
    assert load.faults() == []
    after = amphorae_of(system, key)
    assert not before.keys() & after.keys()
    assert roles_of(system, key) == [("BACKUP", "ALLOCATED", 250), ("MASTER", "ALLOCATED", 254)]
    wait_for(lambda: list(amphorae_of(system, key).values()).count(True) == 1, 30, "one of the two holds the VIP")
    prefix = Names(system.livia.installation.state.agent_directory).prefix
    assert {each for each in faults.namespaces(prefix) if each.removeprefix(f"{prefix}-") in before} == set()
    delete(system, load_balancer)


def test_a_single_amphora_is_replaced_under_load(system: System, backends: dict[str, str]) -> None:
    profile = {"name": "one", "provider_name": "amphora", "flavor_data": '{"loadbalancer_topology": "SINGLE"}'}
    profile_id = system.api.post("/flavorprofiles", {"flavorprofile": profile})["flavorprofile"]["id"]
    flavor = system.api.post("/flavors", {"flavor": {"name": "one", "flavor_profile_id": profile_id}})["flavor"]
    load_balancer = create(system, "planned", backends, flavor_id=flavor["id"])
    key = load_balancer["id"]
    before = amphorae_of(system, key)
    with load_on(load_balancer) as load:
        time.sleep(0.5)
        fail_over(system, load_balancer)
        time.sleep(0.5)
    assert not before.keys() & amphorae_of(system, key).keys()
    assert roles_of(system, key) == [("STANDALONE", "ALLOCATED", None)]
    delete(system, load_balancer)
    assert load.faults() == []


def test_clients_stay_at_their_members(system: System, backends: dict[str, str]) -> None:
    load_balancer = create(system, "sticky", backends)
    key, pool = load_balancer["id"], load_balancer["pools"][0]["id"]
    system.api.put(f"/pools/{pool}", {"pool": {"session_persistence": {"type": "SOURCE_IP"}}})
    system.api.wait_active(key)
    wait_for(lambda: any(amphorae_of(system, key).values()), 30, "an amphora reports that it holds the VIP")
    with load_on(load_balancer, fresh=True, clients=1) as load:
        time.sleep(0.5)
        # The tables of both that come are filled by those that go, before they go.
        fail_over(system, load_balancer)
        time.sleep(0.5)
    assert len(load.who()) == 1
    assert load.faults() == []
    delete(system, load_balancer)
