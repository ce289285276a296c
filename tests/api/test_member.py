"""Errors of members, and the batch (contract 30, part B)."""

from typing import Any

import pytest

from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree
from tests.api.networks import MISSING, V4, V6, ListedNetworks

REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"address": "169.254.169.254"}, 400, "169.254.169.254 is not a valid option for member address"),
    ({"address": "::ffff:169.254.169.254"}, 400, "is not a valid option for member address"),
    ({"address": "127.0.0.1"}, 400, "127.0.0.1 is not a valid option for member address: from an amphora it is"),
    ({"address": "::ffff:127.8.9.10"}, 400, "for member address: from an amphora it is the amphora itself."),
    ({"address": "::1"}, 400, "::1 is not a valid option for member address"),
    ({"address": "0.0.0.0"}, 400, "0.0.0.0 is not a valid option for member address: it is no host."),
    ({"address": "::"}, 400, ":: is not a valid option for member address: it is no host."),
    ({"address": "224.0.0.18"}, 400, "for member address: it is more than one host."),
    ({"address": "255.255.255.255"}, 400, "for member address: it is more than one host."),
    ({"address": "ff02::1"}, 400, "for member address: it is more than one host."),
    ({"monitor_address": "127.0.0.1"}, 400, "127.0.0.1 is not a valid option for monitor address"),
    ({"monitor_address": "::"}, 400, ":: is not a valid option for monitor address"),
    ({"request_sriov": True}, 400, "The load balancer flavor does not allow SR-IOV member ports."),
    ({"address": "10.0.0.21"}, 409, "Another member on this pool is already using ip 10.0.0.21 on protocol_port 80"),
]


@pytest.mark.parametrize("values, status, text", REFUSED)
def test_refused_members(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    body = {"member": {**tree.minimal("member"), **values}}
    harness.refused("POST", tree.collections["member"], body, status, text)


def test_a_check_cannot_be_moved_into_the_amphora(harness: Harness, tree: Tree) -> None:
    text = "127.0.0.1 is not a valid option for monitor address: from an amphora it is the amphora itself."
    harness.refused("PUT", tree.paths["member"], {"member": {"monitor_address": "127.0.0.1"}}, 400, text)
    harness.accepted(harness.client.put(tree.paths["member"], {"member": {"monitor_address": None}}), 200)


def test_members_of_an_unknown_pool(harness: Harness, tree: Tree) -> None:
    path = f"/pools/{UNKNOWN}/members"
    for method, body in (("GET", None), ("POST", {"member": tree.minimal("member")}), ("PUT", {"members": []})):
        harness.refused(method, path, body, 404, f"Pool {UNKNOWN} not found.")


def test_a_member_of_another_pool(harness: Harness, tree: Tree) -> None:
    other = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    for method, body in (("GET", None), ("PUT", {"member": {}}), ("DELETE", None)):
        path = f"/pools/{other}/members/{tree.member}"
        harness.refused(method, path, body, 404, f"Member {tree.member} not found.")


def test_subnets_must_exist(make: MakeHarness) -> None:
    harness = make(network=ListedNetworks())
    pool = harness.pool(loadbalancer_id=harness.load_balancer(vip_subnet_id=V4)["id"])["id"]
    body = {"address": "10.0.0.1", "protocol_port": 1, "subnet_id": MISSING}
    text = f"Subnet {MISSING} not found."
    harness.refused("POST", f"/pools/{pool}/members", {"member": body}, 400, text)
    harness.refused("PUT", f"/pools/{pool}/members", {"members": [body]}, 400, text)
    assert harness.member(pool, subnet_id=V4)["subnet_id"] == V4


def test_the_same_address_elsewhere(harness: Harness, tree: Tree) -> None:
    assert harness.member(tree.pool, protocol_port=81)["protocol_port"] == 81
    other = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    assert harness.member(other)["address"] == "10.0.0.21"


def test_members_begin_offline_where_they_will_be_checked(harness: Harness, tree: Tree) -> None:
    assert harness.member(tree.pool, protocol_port=81)["operating_status"] == "OFFLINE"
    assert harness.client.delete(tree.paths["healthmonitor"]).status == 204
    assert harness.member(tree.pool, protocol_port=82)["operating_status"] == "NO_MONITOR"


def _batch(harness: Harness, tree: Tree, members: list[dict[str, Any]], query: str = "") -> dict[str, str]:
    """The statuses of the pool's members by port after a batch."""
    answer = harness.client.request("PUT", tree.collections["member"], {"members": members}, query=query)
    assert (answer.status, answer.body) == (202, b""), answer.body
    shown = harness.client.get(tree.collections["member"]).json["members"]
    return {f"{each['address']}:{each['protocol_port']}": each["provisioning_status"] for each in shown}


def _at(port: int, **values: Any) -> dict[str, Any]:
    return {"address": "10.0.0.21", "protocol_port": port, **values}


BATCHES: list[tuple[list[dict[str, Any]], str, dict[str, str]]] = [
    ([_at(80), _at(81)], "", {"80": "PENDING_UPDATE", "81": "PENDING_CREATE"}),
    ([_at(81)], "", {"80": "PENDING_DELETE", "81": "PENDING_CREATE"}),
    ([_at(81)], "additive_only=true", {"80": "ACTIVE", "81": "PENDING_CREATE"}),
    ([_at(81)], "additive_only=junk", {"80": "PENDING_DELETE", "81": "PENDING_CREATE"}),
    ([], "", {"80": "PENDING_DELETE"}),
    ([], "additive_only=True", {"80": "ACTIVE"}),
]


@pytest.mark.parametrize("members, query, expected", BATCHES)
def test_batches(
    harness: Harness, tree: Tree, members: list[dict[str, Any]], query: str, expected: dict[str, str]
) -> None:
    statuses = _batch(harness, tree, members, query)
    assert statuses == {f"10.0.0.21:{port}": status for port, status in expected.items()}
    touched = set(expected.values()) != {"ACTIVE"}
    status = "PENDING_UPDATE" if touched else "ACTIVE"
    for item in ("loadbalancer", "pool", "listener"):
        assert harness.client.get(tree.paths[item]).json[item]["provisioning_status"] == status


def test_an_empty_batch_on_an_empty_pool_changes_nothing(harness: Harness, tree: Tree) -> None:
    pool = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    before = harness.rows()
    assert harness.client.put(f"/pools/{pool}/members", {"members": []}).status == 202
    assert harness.rows() == before


def test_a_batch_resets_what_it_leaves_out(harness: Harness, tree: Tree) -> None:
    values = {
        "weight": 9,
        "backup": True,
        "admin_state_up": False,
        "monitor_address": "10.0.0.9",
        "monitor_port": 9,
        "name": "kept",
        "tags": ["kept"],
    }
    harness.accepted(harness.client.put(tree.paths["member"], {"member": values}), 200)
    _batch(harness, tree, [_at(80, subnet_id=None)])
    shown = harness.client.get(tree.paths["member"]).json["member"]
    assert {name: shown[name] for name in values} == {
        "weight": 1,
        "backup": False,
        "admin_state_up": True,
        "monitor_address": None,
        "monitor_port": None,
        "name": "kept",
        "tags": ["kept"],
    }


def test_a_null_in_a_batch_leaves_tags_as_they_are(harness: Harness, tree: Tree) -> None:
    harness.accepted(harness.client.put(tree.paths["member"], {"member": {"tags": ["kept"]}}), 200)
    _batch(harness, tree, [_at(80, tags=None, request_sriov=None)])
    assert harness.client.get(tree.paths["member"]).json["member"]["tags"] == ["kept"]


REFUSED_BATCHES: list[tuple[Any, int, str]] = [
    ([_at(80), _at(80)], 400, "Member must be updated only once in the same request."),
    ([_at(81), _at(81)], 409, "already using ip 10.0.0.21 on protocol_port 81"),
    ([{**_at(81), "address": "169.254.169.254"}], 400, "169.254.169.254 is not a valid option for member address"),
    ([{**_at(81), "address": "::1"}], 400, "::1 is not a valid option for member address"),
    ([_at(80, monitor_address="127.0.0.1")], 400, "127.0.0.1 is not a valid option for monitor address"),
    ([_at(81, id=UNKNOWN)], 400, "Unknown attribute for argument members_.members: id"),
    ([_at(0)], 400, "Invalid input for field/attribute protocol_port."),
    ([{"address": "10.0.0.1"}], 400, "protocol_port. Value: 'None'. Mandatory field missing."),
    (["x"], 400, "Value should be an object"),
    ({}, 400, "Value should be a list"),
    (None, 400, "No members object supplied."),
    ([_at(81, request_sriov=True)], 400, "does not allow SR-IOV"),
]


@pytest.mark.parametrize("members, status, text", REFUSED_BATCHES)
def test_refused_batches(harness: Harness, tree: Tree, members: Any, status: int, text: str) -> None:
    harness.refused("PUT", tree.collections["member"], {"members": members}, status, text)


def test_a_busy_pool_refuses_a_batch_before_looking_at_it(make: MakeHarness) -> None:
    harness = make(immutable_while_pending=True, network=ListedNetworks())
    load_balancer_id = harness.load_balancer(vip_subnet_id=V4)["id"]
    harness.confirm(load_balancer_id)
    pool = harness.pool(loadbalancer_id=load_balancer_id)["id"]
    busy = {
        f"Pool {pool} is immutable and cannot be updated.": "pool",
        f"Load Balancer {load_balancer_id} is immutable and cannot be updated.": "load_balancer",
    }
    reserved = {**_at(81), "address": "169.254.169.254"}
    for text, kind in busy.items():
        for members in ([], [reserved], [_at(81, subnet_id=MISSING)], [_at(81), _at(81)]):
            harness.refused("PUT", f"/pools/{pool}/members", {"members": members}, 409, text)
        harness.set_status(kind, pool if kind == "pool" else load_balancer_id, "ACTIVE")


def test_a_batch_replaces_at_the_quota(make: MakeHarness) -> None:
    harness = make(default_member_quota=1)
    tree = harness.tree()
    text = "Quota has been met for resources: Member"
    two = {"members": [_at(80), _at(81)]}
    harness.refused("PUT", tree.collections["member"], two, 403, text)
    harness.refused("POST", tree.collections["member"], {"member": tree.minimal("member")}, 403, text)
    assert _batch(harness, tree, [_at(81)])["10.0.0.21:81"] == "PENDING_CREATE"


def test_a_batch_brings_back_what_is_leaving(harness: Harness, tree: Tree) -> None:
    assert harness.client.delete(tree.paths["member"]).status == 204
    assert _batch(harness, tree, [_at(80)]) == {"10.0.0.21:80": "PENDING_CREATE"}
    assert harness.client.get(tree.paths["member"]).status == 404


def test_udp_members_need_a_vip_of_their_ip_version(make: MakeHarness) -> None:
    harness = make(network=ListedNetworks())
    text = "IP version incompatible with all VIPs"
    for vips, fine in (({}, 501), ({"additional_vips": [{"subnet_id": V6}]}, 201)):
        created = harness.load_balancer(vip_subnet_id=V4, **vips)
        harness.confirm(created["id"])
        pool = harness.pool(loadbalancer_id=created["id"], protocol="UDP")["id"]
        member = {"address": "2001:db8::21", "protocol_port": 53}
        answer = harness.client.post(f"/pools/{pool}/members", {"member": member})
        assert answer.status == fine, answer
        if fine == 501:
            assert text in answer.json["faultstring"]
            harness.refused("PUT", f"/pools/{pool}/members", {"members": [member]}, 501, text)
        other = harness.pool(loadbalancer_id=created["id"])["id"]
        assert harness.member(other, address="2001:db8::21")["address"] == "2001:db8::21"
