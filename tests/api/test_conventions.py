"""Paths, methods, negotiation, bodies and error shapes (contract 00, sections 1 to 6 and 15)."""

import json
import re
from typing import Any

import pytest
from structlog.testing import capture_logs

from livia.core.drivers import DriverError, Subnet
from livia.drivers.network.noop import NoopNetworks
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree


@pytest.mark.parametrize("path", ["/", "/load-balancer/", "/load-balancer"])
def test_discovery(harness: Harness, path: str) -> None:
    answer = harness.client.request("GET", path, root="")
    versions = answer.json["versions"]
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert [each["id"] for each in versions] == [f"v2.{minor}" for minor in range(31)]
    assert [each["status"] for each in versions] == ["SUPPORTED"] * 30 + ["CURRENT"]
    href = f"http://lb.example.net:9876{path.rstrip('/')}/v2"
    assert {link["href"] for each in versions for link in each["links"]} == {href}
    assert versions[7]["updated"] == "2018-01-25T12:00:00Z"
    assert versions[30]["updated"] == "2025-02-26T00:00:00Z"


def test_discovery_below_a_mount_point_of_the_server(harness: Harness) -> None:
    answer = harness.client.request("GET", "/", root="", environ={"SCRIPT_NAME": "/lb"})
    assert answer.json["versions"][0]["links"][0]["href"] == "http://lb.example.net:9876/lb/v2"


def test_another_mount_point(make: MakeHarness) -> None:
    for prefix, found, not_found in (("/lb", "/lb", "/load-balancer"), ("/a/b/", "/a/b", "/a"), ("", "", "/lb")):
        client = make(mount_prefix=prefix).client
        assert client.request("GET", f"{found}/v2/lbaas/pools", root="").status == 200, prefix
        assert client.request("GET", "/v2/lbaas/pools", root="").status == 200, prefix
        assert client.request("GET", f"{not_found}/v2/lbaas/pools", root="").status == 404, prefix
        discovered = client.request("GET", f"{found}/", root="").json["versions"][0]["links"][0]["href"]
        assert discovered == f"http://lb.example.net:9876{found}/v2"


def test_every_collection_without_lbaas_in_its_path(harness: Harness) -> None:
    for item in ("flavor", "flavorprofile", "availabilityzone", "availabilityzoneprofile", "provider"):
        short, long = (harness.client.request("GET", f"{root}/{item}s", root="") for root in ("/v2", "/v2/lbaas"))
        assert (short.status, short.body) == (200, long.body), item


#: headers of proxies, and the base of links where they are believed
PROXIES: list[tuple[dict[str, str], str]] = [
    ({}, "http://lb.example.net:9876"),
    ({"X-Forwarded-Proto": "https"}, "https://lb.example.net:9876"),
    ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.net"}, "https://api.example.net"),
    ({"Forwarded": "for=10.0.0.1;proto=https;host=api.example.net"}, "https://api.example.net"),
    ({"X-Forwarded-Prefix": "/lb/"}, "http://lb.example.net:9876/lb"),
]


def test_links_behind_proxies(make: MakeHarness) -> None:
    trusting, wary = make(enable_proxy_headers_parsing=True), make()
    trusting.load_balancer()
    for headers, base in PROXIES:
        for harness, expected in ((trusting, base), (wary, "http://lb.example.net:9876")):
            versions = harness.client.request("GET", "/", root="", headers=headers).json["versions"]
            assert versions[0]["links"][0]["href"] == f"{expected}/v2", headers
            page = harness.client.request("GET", "/loadbalancers", query="limit=1", headers=headers).json
            link = page["loadbalancers_links"][0]["href"]
            assert link.startswith(f"{expected}/v2/lbaas/loadbalancers?limit=1&marker="), headers


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2.0", "/v2/lbaas", "/v2/octavia", "/load-balancer/v2"])
def test_version_roots(harness: Harness, path: str) -> None:
    answer = harness.client.request("GET", path, root="")
    assert (answer.status, answer.json) == (200, "v2")


@pytest.mark.parametrize("root", ["/v2/lbaas", "/v2.0/lbaas", "/v2", "/v2.0", "/load-balancer/v2/lbaas"])
@pytest.mark.parametrize("suffix", ["", "/", ".json"])
def test_aliases_of_a_path(harness: Harness, tree: Tree, root: str, suffix: str) -> None:
    for path in (tree.paths["listener"], "/listeners"):
        answer = harness.client.request("GET", path + suffix, root=root)
        assert answer.status == 200
        assert answer.json == harness.client.get(path).json


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/v2/lbaas/nope",
        "/v3",
        "/v2/lbaas/listeners/x/y",
        "/v2/lbaas/loadbalancers/x/status/y",
        "/lbaas",
        "/lbaas/pools",
        "//lbaas/pools",
        "/octavia/amphorae",
        "/load-balancer/lbaas/pools",
    ],
)
def test_unknown_paths(harness: Harness, path: str) -> None:
    answer = harness.client.request("GET", path, root="")
    assert answer.status == 404
    assert answer.json == {"code": 404, "title": "Not Found", "description": ""}


@pytest.mark.parametrize(
    "method, path",
    [
        ("PATCH", "/listeners"),
        ("PATCH", f"/listeners/{UNKNOWN}"),
        ("POST", f"/loadbalancers/{UNKNOWN}/status"),
        ("POST", f"/loadbalancers/{UNKNOWN}/stats"),
        ("GET", f"/loadbalancers/{UNKNOWN}/failover"),
    ],
)
def test_methods_not_allowed(harness: Harness, method: str, path: str) -> None:
    answer = harness.client.request(method, path)
    assert answer.status == 405
    assert answer.json == {"code": 405, "title": "Method Not Allowed", "description": ""}


def test_head_and_options(harness: Harness) -> None:
    head = harness.client.request("HEAD", "/listeners")
    assert (head.status, head.body) == (405, b"")
    options = harness.client.request("OPTIONS", "/listeners")
    assert (options.status, options.body, options.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize("collection", ["loadbalancers", "listeners", "pools", "healthmonitors"])
def test_wrong_methods_of_collections_and_items(harness: Harness, collection: str) -> None:
    for method in ("PUT", "DELETE"):
        harness.refused(method, f"/{collection}", {"x": {}}, 400, 'Missing argument: "id"')
    harness.refused("POST", f"/{collection}/x", {"x": {}}, 400, "Unknown argument")


def test_member_collection_has_no_delete(harness: Harness, tree: Tree) -> None:
    harness.refused("DELETE", tree.collections["member"], None, 400, 'Missing argument: "id"')


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "text/html, application/*;q=0.1", "///", "text/html;q=9", "APPLICATION/Json"],
)
def test_accepted_answers(harness: Harness, accept: str) -> None:
    assert harness.client.request("GET", "/listeners", headers={"Accept": accept}).status == 200


def test_unacceptable_answers(harness: Harness) -> None:
    answer = harness.client.request("GET", "/listeners", headers={"Accept": "text/html"})
    assert answer.status == 406
    assert answer.json["title"] == "Not Acceptable"
    assert "application/json" in answer.json["description"]


ARGUMENTS = {
    "loadbalancer": "load_balancer",
    "listener": "listener_",
    "pool": "pool_",
    "member": "member_",
    "healthmonitor": "health_monitor_",
}
#: what is sent as JSON, and a fragment of the fault string; {arg} and {item} are filled in
MALFORMED: list[tuple[bytes, str]] = [
    (b"{", "Request is not in valid JSON format"),
    (b"\xff\xfe", "Request is not in valid JSON format"),
    (b"[" * 5000, "Request is not in valid JSON format"),
    (b'{"a": 1e999}', "Request is not in valid JSON format"),
    (b"", 'Missing argument: "{arg}"'),
    (b"[]", "Value should be an object"),
    (b'"x"', "Value should be an object"),
    (b"7", "Value should be an object"),
    (b"null", "Value should be an object"),
    (b"{}", "No {item} object supplied."),
    (b'{"ITEM": null}', "No {item} object supplied."),
    (b'{"ITEM": []}', "Value should be an object"),
    (b'{"wrong": {}}', "Unknown attribute for argument {arg}: wrong"),
]


@pytest.mark.parametrize("item", list(ARGUMENTS))
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("body, text", MALFORMED)
def test_malformed_bodies(harness: Harness, tree: Tree, item: str, method: str, body: bytes, text: str) -> None:
    path = tree.collections[item] if method == "POST" else tree.paths[item]
    body = body.replace(b"ITEM", item.encode())
    headers = {"Content-Type": "application/json"}
    answer = harness.client.request(method, path, body, headers=headers)
    assert answer.status == 400
    assert text.format(arg=ARGUMENTS[item], item=item) in answer.fault


def test_lists_of_what_is_no_object(harness: Harness, tree: Tree) -> None:
    text = "Invalid input for field/attribute {name}. Value: '[{{}}, 7]'. Value should be an object"
    for name in ("listeners", "pools", "additional_vips"):
        body = {"loadbalancer": {"vip_subnet_id": SUBNET, name: [{}, 7]}}
        harness.refused("POST", "/loadbalancers", body, 400, text.format(name=name))
    members = tree.collections["member"]
    harness.refused("PUT", members, {"members": [{}, 7]}, 400, text.format(name="members"))


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
def test_other_content_types(harness: Harness, kind: str) -> None:
    answer = harness.client.request("POST", "/listeners", b"{}", headers={"Content-Type": kind})
    assert answer.status == 415
    assert answer.fault == f"Unknown mimetype: {kind}"


def test_content_type_with_a_charset(harness: Harness) -> None:
    body = json.dumps({"loadbalancer": {"vip_subnet_id": SUBNET}}).encode()
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert harness.client.request("POST", "/loadbalancers", body, headers=headers).status == 201


def test_form_bodies(harness: Harness) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = harness.client.request("POST", "/listeners", b"name=x&y=z", headers=headers)
    assert (answer.status, answer.fault) == (400, 'Unknown argument: "name"')


def test_bodies_that_are_too_large(harness: Harness) -> None:
    answer = harness.client.request("POST", "/listeners", b" " * 114689)
    assert (answer.status, answer.headers["content-type"]) == (413, "text/plain")
    assert harness.client.request("POST", "/listeners", b" " * 114688).status == 400


@pytest.mark.parametrize("item", list(ARGUMENTS))
def test_writes_know_no_query_parameters(harness: Harness, tree: Tree, item: str) -> None:
    for method, path in (("POST", tree.collections[item]), ("PUT", tree.paths[item]), ("DELETE", tree.paths[item])):
        harness.refused(method, path, {item: {}}, 400, 'Unknown argument: "zz"', query="zz=1")


def test_shows_ignore_query_parameters(harness: Harness, tree: Tree) -> None:
    assert harness.client.get(tree.paths["pool"], zz="1").status == 200


TITLES = {
    "loadbalancer": "Load Balancer",
    "listener": "Listener",
    "pool": "Pool",
    "member": "Member",
    "healthmonitor": "Health Monitor",
}


@pytest.mark.parametrize("item", list(ARGUMENTS))
@pytest.mark.parametrize("object_id", [UNKNOWN, "garbage", "%00", "a%0Ab", "%ff%fe", "x" * 300, "%F0%9F%A6%80"])
def test_unknown_ids(harness: Harness, tree: Tree, item: str, object_id: str) -> None:
    path = f"{tree.collections[item]}/{object_id}"
    for method, body in (("GET", None), ("PUT", {item: {}}), ("DELETE", None)):
        fault = harness.refused(method, path, body, 404)
        assert re.fullmatch(f"{TITLES[item]} .* not found.", fault, re.DOTALL)


def test_deleted_objects_are_gone(harness: Harness, tree: Tree) -> None:
    harness.set_status("load_balancer", tree.load_balancer, "DELETED")
    harness.refused("GET", tree.paths["loadbalancer"], None, 404, f"Load Balancer {tree.load_balancer} not found.")
    assert harness.client.get("/loadbalancers").json["loadbalancers"] == []


def test_request_ids_are_fresh(harness: Harness) -> None:
    headers = {"X-Openstack-Request-Id": "req-mine"}
    seen = {
        harness.client.request("GET", "/pools", headers=headers).headers["x-openstack-request-id"] for _ in range(3)
    }
    assert len(seen) == 3
    assert all(re.fullmatch(r"req-[0-9a-f-]{36}", each) for each in seen)


class BrokenNetworks(NoopNetworks):
    """A network driver with a defect."""

    def subnet(self, subnet_id: str) -> Subnet | None:
        raise ZeroDivisionError("secret detail")


class RefusingNetworks(NoopNetworks):
    """A network service that refuses."""

    def subnet(self, subnet_id: str) -> Subnet | None:
        raise DriverError("Quota exceeded for resources: ['port'].", status=409)


def test_unexpected_errors_tell_the_client_nothing(make: MakeHarness) -> None:
    harness = make(network=BrokenNetworks())
    fault = harness.refused("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}, 500, "req-")
    assert "secret" not in fault


def test_the_log_names_a_request_as_its_sender_does(make: MakeHarness) -> None:
    client = make(network=BrokenNetworks()).client
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    known = "req-0d4b2a5e-6c1f-4b8e-9b52-2a1df0c4c0f1"
    for given, logged in ((known, known), ("req-x", None), (f"{known} forged=1", None), ("", None)):
        with capture_logs() as logs:
            answer = client.request("POST", "/loadbalancers", body, headers={"X-Openstack-Request-Id": given})
        # The failure, and the request that every log has.
        failure, request = logs
        assert failure.get("global_request_id") == logged, given
        for entry in (failure, request):
            assert entry["request_id"] == answer.headers["x-openstack-request-id"] != given


def test_the_network_services_refusal_is_passed_on(make: MakeHarness) -> None:
    harness = make(network=RefusingNetworks())
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    assert harness.refused("POST", "/loadbalancers", body, 409) == "Quota exceeded for resources: ['port']."


def test_empty_answers(harness: Harness, tree: Tree) -> None:
    batch = harness.client.put(tree.collections["member"], {"members": []})
    failover = harness.client.put(f"{tree.paths['loadbalancer']}/failover")
    deleted = harness.client.delete(tree.paths["listener"])
    for answer, status in ((batch, 202), (failover, 202), (deleted, 204)):
        assert (answer.status, answer.body, answer.headers["content-length"]) == (status, b"", "0")
        assert "content-type" not in answer.headers


def test_projects_of_requests_without_one(make: MakeHarness) -> None:
    harness = make(default_project=None)
    body: dict[str, Any] = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    harness.refused("POST", "/loadbalancers", body, 400, "Validation failure: Missing project ID in request")
    answer = harness.client.request("POST", "/loadbalancers", body, headers={"X-Project-Id": "mine"})
    assert harness.accepted(answer)["project_id"] == "mine"
    body["loadbalancer"] |= {"project_id": "first", "tenant_id": "second"}
    assert harness.accepted(harness.client.post("/loadbalancers", body))["project_id"] == "second"
