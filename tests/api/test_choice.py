"""What a flavor and an availability zone make of a new load balancer (contract 60, sections 2 to 5)."""

from typing import Any

import pytest
from sqlalchemy import select, update

from livia.core.rules.capabilities import NO_LIMITS
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness
from tests.api.networks import GROUP, NET, OTHER_NET, ListedNetworks
from tests.api.offers import FLAVORS, ZONES

NOT_ABLE = "Provider 'amphora' does not support a requested option: "


def topology(harness: Harness, load_balancer_id: str) -> str:
    with harness.database.read() as connection:
        query = select(t.load_balancer.c.topology).where(t.load_balancer.c.id == load_balancer_id)
        return str(connection.execute(query).scalar_one())


@pytest.mark.parametrize("default", ["SINGLE", "ACTIVE_STANDBY"])
def test_the_flavor_decides_the_topology(make: MakeHarness, default: str) -> None:
    harness = make(loadbalancer_topology=default)
    for asked in ("SINGLE", "ACTIVE_STANDBY"):
        flavor = FLAVORS.offer(harness, {"loadbalancer_topology": asked}, name=asked)
        assert topology(harness, harness.load_balancer(flavor_id=flavor["id"])["id"]) == asked
    silent = FLAVORS.offer(harness, {}, name="silent")
    assert topology(harness, harness.load_balancer(flavor_id=silent["id"])["id"]) == default
    assert topology(harness, harness.load_balancer()["id"]) == default


def test_the_flavor_decides_the_provider(harness: Harness) -> None:
    flavor = FLAVORS.offer(harness, provider="octavia")["id"]
    assert harness.load_balancer(flavor_id=flavor)["provider"] == "octavia"
    assert harness.load_balancer(flavor_id=flavor, provider="octavia")["provider"] == "octavia"
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "flavor_id": flavor, "provider": "amphora"}}
    text = f"Flavor '{flavor}' is not compatible with provider 'amphora'"
    harness.refused("POST", "/loadbalancers", body, 400, text)


def test_what_was_stored_is_checked_again(harness: Harness) -> None:
    for shelf in (FLAVORS, ZONES):
        offer = shelf.offer(harness)
        with harness.database.write() as connection:
            connection.execute(update(t.metadata.tables[f"{shelf.item}_profile"]).values({shelf.data: '{"zz": 1}'}))
        body = {"loadbalancer": {"vip_subnet_id": SUBNET, shelf.chosen: offer[shelf.key]}}
        harness.refused("POST", "/loadbalancers", body, 501, f"{NOT_ABLE}There is no option zz")
        harness.refused(
            "POST", "/loadbalancers", {"loadbalancer": {**body["loadbalancer"], "vip_subnet_id": None}}, 400, "VIP must"
        )


def test_a_zone_decides_where_vips_may_be(make: MakeHarness) -> None:
    text = "Supplied VIP network_id is not allowed by the configuration of this deployment."
    refused: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((), {"valid_vip_networks": [OTHER_NET]}),
        ((OTHER_NET,), {}),
    ]
    allowed: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        ((), {}),
        ((OTHER_NET,), {"valid_vip_networks": [OTHER_NET, NET]}),
        ((OTHER_NET,), {"valid_vip_networks": []}),
    ]
    for number, (deployment, data) in enumerate(refused + allowed):
        harness = make(network=ListedNetworks(), valid_vip_networks=deployment)
        zone = ZONES.offer(harness, data, name=f"z{number}")["name"]
        body = {"loadbalancer": {"vip_network_id": NET, "availability_zone": zone}}
        if (deployment, data) in refused:
            harness.refused("POST", "/loadbalancers", body, 400, text)
        else:
            shown = harness.accepted(harness.client.post("/loadbalancers", body))
            assert shown["availability_zone"] == zone


def test_a_network_of_a_zone_that_is_gone(make: MakeHarness) -> None:
    zone = ZONES.offer(make(), {"management_network": UNKNOWN})["name"]
    body = {"loadbalancer": {"vip_network_id": NET, "availability_zone": zone}}
    text = f"Provider 'amphora' reports error: Network {UNKNOWN} not found."
    make(network=ListedNetworks()).refused("POST", "/loadbalancers", body, 500, text)


def test_virtual_functions_that_the_data_plane_does_not_have(harness: Harness) -> None:
    flavor = FLAVORS.offer(harness, {"sriov_vip": True, "allow_member_sriov": True})["id"]
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "flavor_id": flavor}}
    harness.refused("POST", "/loadbalancers", body, 501, f"{NOT_ABLE}load balancer with vip_vnic_type direct")
    plain = FLAVORS.offer(harness, {"allow_member_sriov": True}, name="members")["id"]
    pool = harness.pool(loadbalancer_id=harness.load_balancer(flavor_id=plain)["id"])["id"]
    member = {"member": {"address": "10.0.0.21", "protocol_port": 80, "request_sriov": True}}
    harness.refused("POST", f"/pools/{pool}/members", member, 501, f"{NOT_ABLE}member with request_sriov")


def test_virtual_functions(make: MakeHarness) -> None:
    harness = make(limits=NO_LIMITS)
    flavor = FLAVORS.offer(harness, {"sriov_vip": True, "allow_member_sriov": True})["id"]
    created = harness.load_balancer(flavor_id=flavor)
    assert created["vip_vnic_type"] == "direct"
    pool = harness.pool(loadbalancer_id=created["id"])["id"]
    assert harness.member(pool, request_sriov=True)["vnic_type"] == "direct"
    assert harness.member(pool, address="10.0.0.22")["vnic_type"] == "normal"
    text = "Validation failure: VIP Security Groups are not allowed with VNIC direct type"
    asked = {"vip_subnet_id": SUBNET, "flavor_id": flavor, "vip_sg_ids": [GROUP]}
    harness.refused("POST", "/loadbalancers", {"loadbalancer": asked}, 400, text)
    groups = {"loadbalancer": {"vip_sg_ids": [GROUP]}}
    harness.refused("PUT", f"/loadbalancers/{created['id']}", groups, 400, text)


@pytest.mark.parametrize("data", [None, {"allow_member_sriov": False}, {"sriov_vip": True}])
def test_members_without_leave_for_virtual_functions(make: MakeHarness, data: dict[str, Any] | None) -> None:
    harness = make(limits=NO_LIMITS)
    chosen = {} if data is None else {"flavor_id": FLAVORS.offer(harness, data)["id"]}
    pool = harness.pool(loadbalancer_id=harness.load_balancer(**chosen)["id"])["id"]
    member = {"member": {"address": "10.0.0.21", "protocol_port": 80, "request_sriov": True}}
    text = "Validation failure: The load balancer flavor does not allow SR-IOV member ports."
    harness.refused("POST", f"/pools/{pool}/members", member, 400, text)
