"""The no-op network and the no-op providers: everything is known, nothing is done (contract 97, section 8)."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness

NETWORK, OTHER, PORT, QOS, GROUP = (f"{n}0000000-0000-4000-8000-00000000000{n}" for n in range(1, 6))
PROVIDERS = {"amphora": "ours", "noop_driver": "one", "noop_driver-alt": "two"}
GENERATED = {"vip_port_id", "vip_network_id", "vip_subnet_id"}

#: what is asked, and what is given besides; ids that are neither are generated
VIPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"vip_subnet_id": SUBNET}, {"vip_address": "198.51.100.1"}),
    ({"vip_subnet_id": SUBNET, "vip_address": "10.9.9.9"}, {}),
    ({"vip_subnet_id": SUBNET, "vip_address": "2001:db8:0:0:0:0:0:1"}, {}),
    ({"vip_network_id": NETWORK}, {"vip_address": "198.51.100.1"}),
    ({"vip_network_id": NETWORK, "vip_address": "10.9.9.9"}, {}),
    ({"vip_network_id": NETWORK, "vip_address": "2001:db8::1"}, {}),
    ({"vip_network_id": NETWORK, "vip_subnet_id": SUBNET}, {"vip_address": "198.51.100.1"}),
    ({"vip_network_id": NETWORK, "vip_subnet_id": SUBNET, "vip_address": "10.9.9.9"}, {}),
    ({"vip_port_id": PORT, "vip_subnet_id": SUBNET, "vip_address": "10.9.9.9"}, {}),
    ({"vip_subnet_id": SUBNET, "vip_qos_policy_id": QOS, "vip_sg_ids": [GROUP]}, {}),
]
REFUSED_PORTS: list[tuple[dict[str, Any], str]] = [
    ({"vip_port_id": PORT}, "VIP port's subnet could not be determined."),
    ({"vip_port_id": PORT, "vip_subnet_id": SUBNET}, "No VIP address found on the specified VIP port"),
    ({"vip_port_id": PORT, "vip_address": "10.9.9.9"}, "Specified VIP address not found on the specified VIP port."),
]


def test_what_is_asked_is_echoed_and_the_rest_is_made(make: MakeHarness) -> None:
    for topology in ("SINGLE", "ACTIVE_STANDBY"):
        harness = make(loadbalancer_topology=topology)
        for asked, given in VIPS:
            created = harness.accepted(harness.client.post("/loadbalancers", {"loadbalancer": asked}))
            expected = {**asked, **given}
            assert {name: created[name] for name in expected} == expected, asked
            for name in GENERATED - set(asked):
                assert str(UUID(created[name])) == created[name], (asked, name)


def test_ports_have_no_addresses(harness: Harness) -> None:
    for asked, text in REFUSED_PORTS:
        harness.refused("POST", "/loadbalancers", {"loadbalancer": asked}, 400, text)


def test_subnets_of_one_request_are_in_one_network(harness: Harness) -> None:
    more = [{"subnet_id": OTHER}, {"subnet_id": NETWORK, "ip_address": "10.9.9.8"}]
    created = harness.load_balancer(additional_vips=more)
    assert created["vip_address"] == "198.51.100.1"
    assert {each["subnet_id"]: each["ip_address"] for each in created["additional_vips"]} == {
        OTHER: "198.51.100.2",
        NETWORK: "10.9.9.8",
    }
    assert {each["port_id"] for each in created["additional_vips"]} == {created["vip_port_id"]}


@pytest.mark.parametrize("provider", ["noop_driver", "noop_driver-alt"])
def test_a_noop_provider_takes_everything_and_does_nothing(make: MakeHarness, provider: str) -> None:
    harness = make(enabled_provider_drivers=PROVIDERS, default_provider_driver=provider)
    pool = {"name": "p", "protocol": "SCTP", "lb_algorithm": "SOURCE_IP_PORT", "members": []}
    created = harness.load_balancer(listeners=[{"protocol": "UDP", "protocol_port": 53}], pools=[pool])
    assert (created["provider"], created["provisioning_status"]) == (provider, "PENDING_CREATE")
    with harness.database.read() as connection:
        assert connection.execute(select(t.work.c.key)).all() == []
    path = f"/loadbalancers/{created['id']}"
    state = f"Invalid state PENDING_CREATE of loadbalancer resource {created['id']}"
    immutable = f"Load Balancer {created['id']} is immutable and cannot be updated."
    listener = {"listener": {"loadbalancer_id": created["id"], "protocol": "HTTP", "protocol_port": 80}}
    harness.refused("PUT", path, {"loadbalancer": {"name": "x"}}, 409, state)
    harness.refused("PUT", f"{path}/failover", None, 409, state)
    harness.refused("DELETE", path, None, 409, state, query="cascade=true")
    harness.refused("POST", "/listeners", listener, 409, immutable)


def test_whoever_writes_the_statuses_of_a_noop_provider_frees_it(make: MakeHarness) -> None:
    harness = make(enabled_provider_drivers=PROVIDERS)
    created = harness.load_balancer(provider="noop_driver")
    pool = {"pool": {"loadbalancer_id": created["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}
    member = {"member": {"address": "10.0.0.21", "protocol_port": 80}}
    harness.set_status("load_balancer", created["id"], "ACTIVE")
    members = f"/pools/{harness.accepted(harness.client.post('/pools', pool))['id']}/members"
    pool_id = members.split("/")[2]
    harness.set_status("load_balancer", created["id"], "ACTIVE")
    immutable = f"Pool {pool_id} is immutable and cannot be updated."
    harness.refused("POST", members, member, 409, immutable)
    harness.refused("PUT", members, {"members": []}, 409, immutable)
    harness.set_status("pool", pool_id, "ACTIVE")
    assert harness.client.post(members, member).status == 201
    harness.set_status("load_balancer", created["id"], "ERROR")
    assert harness.client.request("PUT", f"/loadbalancers/{created['id']}/failover", None).status == 202
    harness.set_status("load_balancer", created["id"], "ERROR")
    path = f"/loadbalancers/{created['id']}"
    assert harness.client.request("DELETE", path, None, query="cascade=true").status == 204
    assert harness.client.request("DELETE", path, None, query="cascade=true").status == 409


def test_a_load_balancer_without_a_provider_is_ours(harness: Harness) -> None:
    created = harness.load_balancer()
    with harness.database.write() as connection:
        connection.execute(t.load_balancer.update().values(provider=None))
        connection.execute(t.work.delete())
    harness.listener(created["id"])
    with harness.database.read() as connection:
        assert connection.execute(select(t.work.c.key)).scalars().all() == [created["id"]]
