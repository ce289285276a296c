"""Load balancers: VIPs, providers, delete, failover, status tree, statistics (contract 10)."""

from typing import Any

import pytest
from sqlalchemy import insert, select

from livia.core.drivers import DriverError, QosPolicy
from livia.drivers.network.noop import NoopNetworks
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree
from tests.api.networks import (
    EMPTY_NET,
    FOREIGN,
    GROUP,
    MISSING,
    NET,
    OTHER_NET,
    PORT,
    PORT_QOS,
    QOS,
    SECOND,
    SMALL,
    SMALL_NET,
    TWO_ADDRESSES,
    USED_PORT,
    V4,
    V6,
    ListedNetworks,
)

#: what is asked, and what the load balancer gets
VIPS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"vip_subnet_id": V4}, {"vip_subnet_id": V4, "vip_network_id": NET, "vip_address": "10.1.0.7"}),
    ({"vip_subnet_id": V4, "vip_address": "10.1.0.8"}, {"vip_address": "10.1.0.8"}),
    ({"vip_network_id": NET}, {"vip_subnet_id": V4, "vip_address": "10.1.0.7"}),
    ({"vip_network_id": NET, "vip_subnet_id": SECOND}, {"vip_subnet_id": SECOND, "vip_address": "10.2.0.7"}),
    ({"vip_network_id": NET, "vip_address": "2001:db8:1::9"}, {"vip_subnet_id": V6, "vip_address": "2001:db8:1::9"}),
    ({"vip_port_id": PORT}, {"vip_port_id": PORT, "vip_subnet_id": V4, "vip_address": "10.1.0.50"}),
    ({"vip_port_id": PORT}, {"vip_qos_policy_id": PORT_QOS}),
    ({"vip_port_id": PORT, "vip_qos_policy_id": QOS}, {"vip_qos_policy_id": QOS}),
    ({"vip_port_id": PORT, "vip_qos_policy_id": None}, {"vip_qos_policy_id": None}),
    ({"vip_subnet_id": FOREIGN, "provider": "noop_driver"}, {"vip_network_id": OTHER_NET}),
    ({"vip_port_id": TWO_ADDRESSES, "vip_subnet_id": V6}, {"vip_address": "2001:db8:1::52"}),
    (
        {"vip_port_id": TWO_ADDRESSES, "vip_address": "2001:db8:1:0:0:0:0:52"},
        {"vip_subnet_id": V6, "vip_address": "2001:db8:1:0:0:0:0:52"},
    ),
    ({"vip_port_id": PORT, "vip_network_id": OTHER_NET}, {"vip_network_id": NET}),
    ({"vip_subnet_id": V4, "vip_qos_policy_id": QOS}, {"vip_qos_policy_id": QOS}),
    ({"vip_subnet_id": V4, "vip_sg_ids": [GROUP, GROUP]}, {"vip_sg_ids": [GROUP]}),
]


@pytest.mark.parametrize("asked, got", VIPS)
def test_vips(make: MakeHarness, asked: dict[str, Any], got: dict[str, Any]) -> None:
    harness = make(network=ListedNetworks(), enabled_provider_drivers={"amphora": "ours", "noop_driver": "none"})
    created = harness.accepted(harness.client.post("/loadbalancers", {"loadbalancer": asked}))
    assert {name: created[name] for name in got} == got
    assert created["vip_port_id"] is not None


def test_additional_vips(make: MakeHarness) -> None:
    harness = make(network=ListedNetworks())
    wanted = [{"subnet_id": V6}, {"subnet_id": SECOND, "ip_address": "10.2.0.3", "port_id": MISSING}]
    created = harness.load_balancer(vip_subnet_id=V4, additional_vips=wanted)
    port = created["vip_port_id"]
    assert created["additional_vips"] == [
        {"subnet_id": V6, "ip_address": "2001:db8:1::7", "port_id": port},
        {"subnet_id": SECOND, "ip_address": "10.2.0.3", "port_id": port},
    ]


#: what is asked, the status and text of the refusal
REFUSED_VIPS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id"),
    ({"vip_address": "10.1.0.8"}, 400, "VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id"),
    ({"vip_port_id": MISSING}, 400, f"Port {MISSING} not found."),
    ({"vip_port_id": USED_PORT}, 400, f"Port {USED_PORT} is already used by device vm-1"),
    ({"vip_port_id": PORT, "vip_subnet_id": MISSING}, 400, f"Subnet {MISSING} not found."),
    ({"vip_port_id": PORT, "vip_subnet_id": V6}, 400, "No VIP address found on the specified VIP port"),
    (
        {"vip_port_id": PORT, "vip_address": "10.1.0.1"},
        400,
        "Specified VIP address not found on the specified VIP port.",
    ),
    ({"vip_port_id": TWO_ADDRESSES}, 400, "VIP port's subnet could not be determined."),
    ({"vip_network_id": MISSING}, 400, f"Network {MISSING} not found."),
    ({"vip_network_id": NET, "vip_subnet_id": FOREIGN}, 400, f"Subnet {FOREIGN} not found."),
    ({"vip_network_id": NET, "vip_subnet_id": MISSING}, 400, f"Subnet {MISSING} not found."),
    (
        {"vip_network_id": NET, "vip_address": "10.9.0.1"},
        400,
        "Supplied network does not contain a subnet for VIP address specified.",
    ),
    ({"vip_network_id": EMPTY_NET}, 400, "Supplied network does not contain a subnet."),
    ({"vip_network_id": SMALL_NET}, 400, "Subnet(s) in the supplied network do not contain enough available IPs."),
    ({"vip_subnet_id": MISSING}, 400, f"Subnet {MISSING} not found."),
    ({"vip_subnet_id": V4, "vip_address": "10.1.0.99"}, 409, "The VIP IP address is already in use: 10.1.0.99"),
    ({"vip_subnet_id": V4, "vip_qos_policy_id": MISSING}, 400, f"qos_policy {MISSING} not found."),
    ({"vip_subnet_id": V4, "vip_sg_ids": [GROUP, MISSING]}, 400, f"Security Group {MISSING} not found."),
    (
        {"vip_subnet_id": FOREIGN, "provider": "octavia"},
        500,
        "Provider 'octavia' reports error: Port security must be enabled on the VIP network.",
    ),
    (
        {"vip_subnet_id": V4, "additional_vips": [{"subnet_id": V4}]},
        400,
        "Duplicate VIP subnet(s) specified.",
    ),
    (
        {"vip_subnet_id": V4, "additional_vips": [{"subnet_id": V6}, {"subnet_id": V6}]},
        400,
        "Duplicate VIP subnet(s) specified.",
    ),
    (
        {"vip_subnet_id": V4, "additional_vips": [{"subnet_id": FOREIGN}]},
        400,
        "All VIP subnets must belong to the same network.",
    ),
    ({"vip_subnet_id": V4, "additional_vips": [{"subnet_id": MISSING}]}, 400, f"Subnet {MISSING} not found."),
    # What is wrong with the VIP is said before what is wrong with flavor, zone and provider.
    (
        {"vip_subnet_id": V4, "additional_vips": [{"subnet_id": V4}], "flavor_id": MISSING, "provider": "nope"},
        400,
        "Duplicate VIP subnet(s) specified.",
    ),
    ({"vip_subnet_id": V4, "additional_vips": [{}]}, 400, "subnet_id. Value: 'None'. Mandatory field missing."),
    (
        {"vip_subnet_id": V4, "additional_vips": [{"subnet_id": V6, "x": 1}]},
        400,
        "Unknown attribute for argument load_balancer.loadbalancer.additional_vips: x",
    ),
    ({"vip_port_id": PORT, "additional_vips": [{"subnet_id": V6}]}, 400, "No VIP address found"),
    ({"vip_subnet_id": V4, "provider": "nope"}, 400, "Provider 'nope' is not enabled."),
    ({"vip_subnet_id": V4, "provider": ""}, 400, "Provider '' is not enabled."),
    ({"vip_subnet_id": V4, "flavor_id": None}, 400, "Invalid flavor_id"),
    ({"vip_subnet_id": V4, "flavor_id": MISSING}, 400, "Validation failure: Invalid flavor_id."),
    ({"vip_subnet_id": V4, "availability_zone": None}, 400, "Invalid availability zone"),
    ({"vip_subnet_id": V4, "availability_zone": "x"}, 400, "Validation failure: Invalid availability zone."),
]


@pytest.mark.parametrize("asked, status, text", REFUSED_VIPS)
def test_refused_vips_leave_nothing(make: MakeHarness, asked: dict[str, Any], status: int, text: str) -> None:
    network = ListedNetworks()
    make(network=network).refused("POST", "/loadbalancers", {"loadbalancer": asked}, status, text)
    assert network.made == network.deleted


@pytest.mark.parametrize("name", ["vip_port_id", "vip_network_id", "vip_subnet_id"])
def test_kinds_of_vips_that_the_deployment_forbids(make: MakeHarness, name: str) -> None:
    harness = make(**{f"allow_{name}": False})
    harness.refused("POST", "/loadbalancers", {"loadbalancer": {name: SUBNET}}, 400, f"use of {name} is disallowed")
    fault = harness.refused("POST", "/loadbalancers", {"loadbalancer": {}}, 400, "VIP must contain one of: ")
    assert name not in fault


@pytest.mark.parametrize("option", [{"valid_vip_networks": (OTHER_NET,)}, {"denylist_vip_networks": (NET,)}])
def test_networks_that_the_deployment_forbids(make: MakeHarness, option: dict[str, Any]) -> None:
    harness = make(network=ListedNetworks(), **option)
    text = "Supplied VIP network_id is not allowed by the configuration of this deployment."
    harness.refused("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": V4}}, 400, text)


def test_a_pair_needs_more_room(make: MakeHarness) -> None:
    network = ListedNetworks()
    network._subnets[SMALL] = type(network._subnets[SMALL])(id=SMALL, network_id=SMALL_NET, cidr="10.4.0.0/29", free=2)
    body = {"loadbalancer": {"vip_network_id": SMALL_NET}}
    make(network=network, loadbalancer_topology="ACTIVE_STANDBY").refused(
        "POST", "/loadbalancers", body, 400, "do not contain enough available IPs."
    )
    assert make(network=network).client.post("/loadbalancers", body).status == 201


#: only HTTP has L7 policies
REFUSED_LISTENER = {"protocol": "TCP", "protocol_port": 9, "l7policies": [{"action": "REJECT"}]}


def test_a_refused_graph_gives_its_port_back(make: MakeHarness) -> None:
    network = ListedNetworks()
    body = {"vip_subnet_id": V4, "listeners": [REFUSED_LISTENER]}
    make(network=network).refused("POST", "/loadbalancers", {"loadbalancer": body}, 501, "does not support")
    assert network.made
    assert network.made == network.deleted


def test_a_users_port_is_never_deleted(make: MakeHarness) -> None:
    network = ListedNetworks()
    harness = make(network=network)
    body = {"vip_port_id": PORT, "listeners": [REFUSED_LISTENER]}
    harness.refused("POST", "/loadbalancers", {"loadbalancer": body}, 501, "does not support")
    created = harness.accepted(harness.client.post("/loadbalancers", {"loadbalancer": {"vip_port_id": PORT}}))
    assert (network.made, network.deleted) == ([], [])
    with harness.database.read() as connection:
        query = select(t.vip.c.octavia_owned).where(t.vip.c.load_balancer_id == created["id"])
        assert connection.execute(query).scalar_one() is False


def test_a_provider_without_a_driver(make: MakeHarness) -> None:
    harness = make(enabled_provider_drivers={"amphora": "ours", "acme": "theirs"})
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "provider": "acme"}}
    harness.refused("POST", "/loadbalancers", body, 501, "Provider 'acme' was not found.")


def _put_flavor(harness: Harness, *, enabled: bool, provider: str) -> None:
    with harness.database.write() as connection:
        connection.execute(insert(t.flavor_profile).values(id=V4, name="p", provider_name=provider, flavor_data="{}"))
        connection.execute(insert(t.flavor).values(id=V6, name="f", enabled=enabled, flavor_profile_id=V4))
        zone = t.availability_zone_profile
        connection.execute(insert(zone).values(id=V4, name="z", provider_name=provider, availability_zone_data="{}"))
        connection.execute(
            insert(t.availability_zone).values(name="z", enabled=enabled, availability_zone_profile_id=V4)
        )


def test_flavors_and_zones(harness: Harness) -> None:
    _put_flavor(harness, enabled=True, provider="octavia")
    created = harness.load_balancer(flavor_id=V6, availability_zone="z")
    assert (created["provider"], created["flavor_id"], created["availability_zone"]) == ("octavia", V6, "z")
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "flavor_id": V6, "provider": "amphora"}}
    text = f"Flavor '{V6}' is not compatible with provider 'amphora'"
    harness.refused("POST", "/loadbalancers", body, 400, text)


@pytest.mark.parametrize(
    "asked, text",
    [
        ({"flavor_id": V6}, f"The selected flavor is not allowed in this deployment: {V6}"),
        ({"availability_zone": "z"}, "The selected availability_zone is not allowed in this deployment: z"),
    ],
)
def test_disabled_flavors_and_zones(harness: Harness, asked: dict[str, Any], text: str) -> None:
    _put_flavor(harness, enabled=False, provider="amphora")
    harness.refused("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET, **asked}}, 400, text)


def test_update_checks_what_it_refers_to(make: MakeHarness) -> None:
    harness = make(network=ListedNetworks())
    path = f"/loadbalancers/{harness.load_balancer(vip_subnet_id=V4)['id']}"
    wrong = {"loadbalancer": {"vip_qos_policy_id": MISSING}}
    harness.refused("PUT", path, wrong, 400, f"qos_policy {MISSING} not found.")
    groups = {"loadbalancer": {"vip_sg_ids": [MISSING]}}
    harness.refused("PUT", path, groups, 400, f"Security Group {MISSING} not found.")
    assert harness.client.put(path, {"loadbalancer": {"vip_qos_policy_id": QOS, "vip_sg_ids": [GROUP]}}).status == 200


class _WithoutQos(NoopNetworks):
    """A network service that lacks the extension (contract 10, section 4)."""

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        raise DriverError("VIP QoS policy is not allowed in this deployment.", code="no_qos", status=400)


def test_networks_without_qos(make: MakeHarness) -> None:
    harness = make(network=_WithoutQos())
    text = "VIP QoS policy is not allowed in this deployment."
    body = {"loadbalancer": {"vip_subnet_id": V4, "vip_qos_policy_id": QOS}}
    harness.refused("POST", "/loadbalancers", body, 400, text)
    path = f"/loadbalancers/{harness.load_balancer(vip_subnet_id=V4, vip_qos_policy_id=None)['id']}"
    harness.refused("PUT", path, {"loadbalancer": {"vip_qos_policy_id": QOS}}, 400, text)
    assert harness.client.put(path, {"loadbalancer": {"vip_qos_policy_id": None}}).status == 200


def test_delete_without_children(harness: Harness) -> None:
    path = f"/loadbalancers/{harness.load_balancer()['id']}"
    assert harness.client.delete(path).status == 204
    assert harness.client.get(path).json["loadbalancer"]["provisioning_status"] == "PENDING_DELETE"
    before = harness.rows()
    assert harness.client.delete(path).status == 204
    assert harness.rows() == before


@pytest.mark.parametrize("cascade", ["", "cascade=false", "cascade=junk"])
def test_delete_with_children(harness: Harness, tree: Tree, cascade: str) -> None:
    text = f"Cannot delete Load Balancer {tree.load_balancer} - it has children"
    harness.refused("DELETE", tree.paths["loadbalancer"], None, 400, text, query=cascade)


@pytest.mark.parametrize("cascade", ["true", "True", "1", "yes", "ON"])
def test_cascade(harness: Harness, tree: Tree, cascade: str) -> None:
    assert harness.client.delete(tree.paths["loadbalancer"], cascade=cascade).status == 204
    statuses = harness.statuses(tree.load_balancer)
    assert statuses.pop("load_balancer") == "PENDING_DELETE"
    assert set(statuses.values()) == {"ACTIVE"}


def test_children_on_their_way_out_do_not_count(harness: Harness, tree: Tree) -> None:
    for item in ("listener", "pool", "loadbalancer"):
        assert harness.client.delete(tree.paths[item]).status == 204


def test_status_tree(anywhere: Harness) -> None:
    harness, tree = anywhere, anywhere.tree()
    unused = harness.pool(loadbalancer_id=tree.load_balancer)
    tcp = harness.listener(tree.load_balancer, protocol="TCP", protocol_port=81)
    harness.confirm(tree.load_balancer)
    member = {"id": tree.member, "name": "one", "operating_status": "NO_MONITOR", "provisioning_status": "ACTIVE"}
    monitor = {"id": tree.monitor, "name": "check", "operating_status": "OFFLINE", "provisioning_status": "ACTIVE"}
    off = {"operating_status": "OFFLINE", "provisioning_status": "ACTIVE"}
    pool: dict[str, Any] = {
        "id": tree.pool,
        "name": "blue",
        **off,
        "health_monitor": {**monitor, "type": "HTTP"},
        "members": [{**member, "address": "10.0.0.21", "protocol_port": 80}],
    }
    expected: dict[str, Any] = {
        "id": tree.load_balancer,
        "name": "web",
        **off,
        "listeners": [
            {"id": tree.listener, "name": "http", **off, "pools": [pool]},
            {"id": tcp["id"], "name": "", **off, "pools": []},
        ],
    }
    for part in ("status", "statuses"):
        answer = harness.client.get(f"{tree.paths['loadbalancer']}/{part}")
        assert answer.json == {"statuses": {"loadbalancer": expected}}
    assert unused["id"].encode() not in answer.body


def test_statistics_are_sums(harness: Harness, tree: Tree) -> None:
    counters = ("bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors")
    other = harness.listener(tree.load_balancer, protocol="TCP", protocol_port=81)["id"]
    with harness.database.write() as connection:
        for position, listener_id in enumerate((tree.listener, tree.listener, other)):
            row = {name: 10**position * (index + 1) for index, name in enumerate(counters)}
            connection.execute(
                insert(t.listener_statistics).values(
                    listener_id=listener_id, amphora_id=f"a{position}", load_balancer_id=tree.load_balancer, **row
                )
            )
    answer = harness.client.get(f"{tree.paths['loadbalancer']}/stats").json
    assert answer == {"stats": {name: 111 * (index + 1) for index, name in enumerate(counters)}}
    answer = harness.client.get(f"{tree.paths['listener']}/stats").json
    assert answer == {"stats": {name: 11 * (index + 1) for index, name in enumerate(counters)}}


def test_statistics_of_something_new(harness: Harness) -> None:
    answer = harness.client.get(f"/loadbalancers/{harness.load_balancer()['id']}/stats").json
    assert list(answer["stats"].values()) == [0] * 5


def test_parts_of_unknown_load_balancers(harness: Harness) -> None:
    for part in ("status", "stats", "events"):
        harness.refused("GET", f"/loadbalancers/{UNKNOWN}/{part}", None, 404, f"Load Balancer {UNKNOWN} not found.")
    harness.refused("PUT", f"/loadbalancers/{UNKNOWN}/failover", None, 404, "not found.")
    harness.refused("GET", f"/listeners/{UNKNOWN}/stats", None, 404, f"Listener {UNKNOWN} not found.")


def test_failover_marks_the_amphorae(harness: Harness, tree: Tree) -> None:
    with harness.database.write() as connection:
        for amphora_id, status in (("one", "ALLOCATED"), ("two", "ALLOCATED"), ("gone", "DELETED")):
            row = {"id": amphora_id, "status": status, "load_balancer_id": tree.load_balancer}
            connection.execute(insert(t.amphora).values(**row))
    harness.wake.keys.clear()
    assert harness.client.put(f"{tree.paths['loadbalancer']}/failover", {}).status == 202
    assert harness.statuses(tree.load_balancer)["load_balancer"] == "PENDING_UPDATE"
    assert harness.wake.keys == [tree.load_balancer]
    with harness.database.read() as connection:
        asked = connection.execute(select(t.amphora.c.id).where(t.amphora.c.replace_requested).order_by(t.amphora.c.id))
        assert list(asked.scalars()) == ["one", "two"]
        work = connection.execute(select(t.work.c.priority).where(t.work.c.key == tree.load_balancer))
        assert work.scalar_one() == 10
