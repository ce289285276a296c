"""ETag, If-Match and If-None-Match of single objects (docs/extensions.md)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from livia.core.drivers import QosPolicy
from livia.drivers.network.noop import NoopNetworks
from tests.api.client import Answer
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness, Tree
from tests.api.offers import FLAVORS
from tests.api.writes import writes

_KINDS = {
    "loadbalancer": "load_balancer",
    "listener": "listener",
    "pool": "pool",
    "member": "member",
    "healthmonitor": "health_monitor",
    "l7policy": "l7policy",
    "rule": "l7rule",
}
#: for each kind some attributes, and values that it does not have yet
NEW_VALUES: dict[str, dict[str, Any]] = {
    "loadbalancer": {"name": "n", "description": "d", "admin_state_up": False, "tags": ["t"]},
    "listener": {
        "name": "n",
        "connection_limit": 7,
        "timeout_client_data": 7,
        "insert_headers": {"X-Forwarded-For": "true"},
        "allowed_cidrs": ["198.51.100.0/25"],
        "default_pool_id": None,
    },
    "pool": {
        "description": "d",
        "lb_algorithm": "LEAST_CONNECTIONS",
        "session_persistence": {"type": "SOURCE_IP"},
        "tags": ["t"],
    },
    "member": {"name": "n", "weight": 7, "backup": True, "monitor_port": 7, "tags": ["t"]},
    "healthmonitor": {"delay": 7, "max_retries_down": 2, "url_path": "/x", "expected_codes": "201"},
    "l7policy": {"description": "d", "redirect_url": "http://www.example.net/x", "redirect_http_code": 301},
    "rule": {"value": "/z", "compare_type": "CONTAINS", "invert": True, "tags": ["t"]},
}


def _tag(harness: Harness, path: str) -> str:
    answer = harness.client.get(path)
    assert answer.status == 200
    tag = answer.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    return tag


def _put(harness: Harness, path: str, body: Any, match: str) -> Answer:
    return harness.client.request("PUT", path, body, headers={"If-Match": match})


@pytest.mark.parametrize("item", list(NEW_VALUES))
def test_the_tag_changes_with_attributes_and_statuses(harness: Harness, tree: Tree, item: str) -> None:
    path = tree.paths[item]
    seen = [_tag(harness, path)]
    for name, value in NEW_VALUES[item].items():
        assert harness.client.put(path, {item: {name: value}}).status == 200, name
        harness.confirm(tree.load_balancer)
        seen.append(_tag(harness, path))
    for status in ("PENDING_UPDATE", "ERROR"):
        harness.set_status(_KINDS[item], tree.ids[_KINDS[item]], status)
        seen.append(_tag(harness, path))
    assert len(set(seen)) == len(seen)
    assert _tag(harness, path) == seen[-1]


def test_lists_and_parts_have_no_tag(harness: Harness, tree: Tree) -> None:
    for path in ("/listeners", tree.collections["member"], f"{tree.paths['loadbalancer']}/status"):
        assert "etag" not in harness.client.get(path).headers
    assert "etag" not in harness.client.get(tree.paths["pool"], fields="name").headers


def test_nothing_is_sent_again_that_the_client_has(harness: Harness, tree: Tree) -> None:
    path = tree.paths["pool"]
    tag = _tag(harness, path)
    for known, status in (
        (tag, 304),
        (f'"x", {tag}', 304),
        (f"W/{tag}", 304),
        ("*", 304),
        ('"x"', 200),
        ("garbage", 200),
        ("", 200),
    ):
        answer = harness.client.request("GET", path, headers={"If-None-Match": known})
        assert (answer.status, answer.headers["etag"]) == (status, tag), known
        assert (answer.body == b"") is (status == 304)
        assert ("content-type" in answer.headers) is (status == 200)
    harness.refused("GET", f"{path}x", None, 404)


def test_a_change_of_what_the_client_saw(anywhere: Harness) -> None:
    tree = anywhere.tree()
    for write in writes(anywhere, tree):
        if not write.single or write.method != "PUT":
            continue
        tag = _tag(anywhere, write.path)
        before = anywhere.rows()
        for stale in ('"x"', f"W/{tag}", "", "garbage"):
            answer = _put(anywhere, write.path, write.body, stale)
            assert (answer.status, "Nothing was done." in answer.fault) == (412, True), (write, stale)
            assert anywhere.rows() == before
        answer = _put(anywhere, write.path, write.body, f'"x", {tag}')
        assert answer.status == write.status, write
        assert answer.headers["etag"] == _tag(anywhere, write.path) != tag, write
        assert _put(anywhere, write.path, write.body, tag).status == 412
        assert _put(anywhere, write.path, write.body, "*").status == write.status


def test_a_deletion_of_what_the_client_saw(harness: Harness, tree: Tree) -> None:
    for write in writes(harness, tree):
        if not write.single or write.method != "DELETE":
            continue
        tag, before = _tag(harness, write.path), harness.rows()
        for known, status in (('"x"', 412), (tag, write.status)):
            assert harness.rows() == before
            answer = harness.client.request("DELETE", write.path, query=write.query, headers={"If-Match": known})
            assert answer.status == status, (write, answer)
        assert harness.rows() != before or "quotas" in write.path, write


def test_what_has_no_tag_matches_none(harness: Harness, tree: Tree) -> None:
    for write in writes(harness, tree):
        if not write.single:
            before = harness.rows()
            answer = harness.client.request(write.method, write.path, write.body, headers={"If-Match": "*"})
            assert (answer.status, "single object" in answer.fault) == (412, True), write
            assert harness.rows() == before, write


def test_other_refusals_come_first(harness: Harness, tree: Tree) -> None:
    """RFC 9110, section 13.2.1."""
    assert _put(harness, tree.paths["pool"], {"pool": {"zz": 1}}, '"x"').status == 400
    assert _put(harness, f"{tree.paths['pool']}x", {"pool": {}}, '"x"').status == 404
    harness.set_status("load_balancer", tree.load_balancer, "PENDING_DELETE")
    assert _put(harness, tree.paths["pool"], {"pool": {}}, '"x"').status == 409


def test_one_of_many_simultaneous_changes_wins(anywhere: Harness) -> None:
    tree = anywhere.tree()
    flavor = FLAVORS.at(FLAVORS.offer(anywhere))
    cases: list[tuple[str, str, str]] = [
        ("pool", tree.paths["pool"], "description"),
        ("loadbalancer", tree.paths["loadbalancer"], "description"),
        ("flavor", flavor, "description"),
        ("quota", "/quotas/mine", "pool"),
    ]
    for item, path, name in cases:
        tag = _tag(anywhere, path)
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(_put, anywhere, path, {item: {name: str(number)}}, tag) for number in range(1, 7)]
            statuses = sorted(call.result().status for call in calls)
        assert statuses[0] in (200, 202), item
        assert statuses[1:] == [412] * 5, item


class _Meanwhile(NoopNetworks):
    """A network service during whose answer somebody else changes the load balancer."""

    def __init__(self) -> None:
        self.act: Any = None

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self.act).result()
        return super().qos_policy(policy_id)


def test_a_change_between_reading_and_writing_is_noticed(make: MakeHarness) -> None:
    networks = _Meanwhile()
    harness = make(network=networks)
    load_balancer = harness.load_balancer()
    path = f"/loadbalancers/{load_balancer['id']}"
    networks.act = lambda: harness.client.put(path, {"loadbalancer": {"name": "other"}})
    answer = _put(harness, path, {"loadbalancer": {"vip_qos_policy_id": SUBNET}}, _tag(harness, path))
    assert answer.status == 412
    shown = harness.client.get(path).json["loadbalancer"]
    assert (shown["name"], shown["vip_qos_policy_id"]) == ("other", None)
