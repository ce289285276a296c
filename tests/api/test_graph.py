"""Single-call create of a whole tree (contract 10, section 6)."""

from typing import Any

import pytest

from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness

POOL = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MEMBER = {"address": "10.0.0.1", "protocol_port": 80}
MONITOR = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3}
HTTP = {"protocol": "HTTP", "protocol_port": 80}


def _post(harness: Harness, **values: Any) -> dict[str, Any]:
    return harness.load_balancer(**values)


#: a request with a child of every kind, below others and by name
EVERYTHING: dict[str, Any] = {
    "name": "app",
    "tags": ["x"],
    "listeners": [
        {**HTTP, "name": "http", "default_pool": {"name": "blue"}, "allowed_cidrs": ["10.0.0.0/8"], "tags": ["l"]},
        {"protocol": "TCP", "protocol_port": 81, "default_pool": {**POOL, "name": "inline", "protocol": "TCP"}},
        {"protocol": "HTTP", "protocol_port": 82, "default_pool": {"name": "inline2", **POOL}, "l7policies": None},
        {"protocol": "HTTP", "protocol_port": 83, "default_pool": {"name": "blue"}, "l7policies": []},
    ],
    "pools": [
        {
            **POOL,
            "name": "blue",
            "session_persistence": {"type": "APP_COOKIE", "cookie_name": "c"},
            "healthmonitor": {**MONITOR, "url_path": "/ok"},
            "members": [{**MEMBER, "tags": ["m"]}, {**MEMBER, "address": "10.0.0.2", "backup": True}],
        },
        POOL,
    ],
}


def test_everything_at_once(anywhere: Harness) -> None:
    created = _post(anywhere, **EVERYTHING)
    pools = {each["name"]: each for each in created["pools"]}
    assert [each["name"] for each in created["pools"]] == ["blue", "", "inline", "inline2"]
    assert [each["protocol_port"] for each in created["listeners"]] == [80, 81, 82, 83]
    assert [each["default_pool_id"] for each in created["listeners"]] == [
        pools[name]["id"] for name in ("blue", "inline", "inline2", "blue")
    ]
    blue = pools["blue"]
    assert [each["address"] for each in blue["members"]] == ["10.0.0.1", "10.0.0.2"]
    assert {each["operating_status"] for each in blue["members"]} == {"NO_MONITOR"}
    assert blue["healthmonitor"]["url_path"] == "/ok"
    assert blue["session_persistence"]["cookie_name"] == "c"
    assert pools["inline"]["healthmonitor"] is None
    assert "healthmonitor_id" not in blue
    assert "loadbalancers" not in blue
    assert "loadbalancers" not in created["listeners"][0]
    assert set(anywhere.statuses(created["id"]).values()) == {"PENDING_CREATE"}
    shown = anywhere.client.get(f"/loadbalancers/{created['id']}").json["loadbalancer"]
    for name in ("listeners", "pools"):
        assert shown[name] == [{"id": each["id"]} for each in created[name]]
    for each in created["pools"]:
        assert anywhere.client.get(f"/pools/{each['id']}").json["pool"]["name"] == each["name"]


RULE = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/img"}
TO_POOL = {"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "static"}}


def test_policies_and_rules_at_once(anywhere: Harness) -> None:
    policies = [
        {**TO_POOL, "name": "a", "rules": [{**RULE, "tags": ["r"]}, {**RULE, "value": "/x", "invert": True}]},
        {**TO_POOL, "name": "b", "redirect_pool": {**POOL, "name": "inline", "members": [MEMBER]}},
        {"action": "REJECT", "name": "c", "position": 1, "rules": [{**RULE, "project_id": "ignored"}], "tags": ["p"]},
        {"action": "REDIRECT_TO_URL", "name": "d", "redirect_url": "http://a.net/", "rules": None},
    ]
    created = _post(
        anywhere,
        listeners=[
            {**HTTP, "default_pool": {"name": "inline"}, "l7policies": policies},
            {**HTTP, "protocol_port": 81, "l7policies": [{**TO_POOL, "name": "e"}]},
        ],
        pools=[{**POOL, "name": "static"}],
    )
    pools = {each["name"]: each["id"] for each in created["pools"]}
    first, second = created["listeners"]
    assert [each["name"] for each in first["l7policies"]] == ["c", "a", "b", "d"]
    assert [each["position"] for each in first["l7policies"]] == [1, 2, 3, 4]
    by_name = {each["name"]: each for each in (*first["l7policies"], *second["l7policies"])}
    assert {name: each["redirect_pool_id"] for name, each in by_name.items()} == {
        "a": pools["static"],
        "b": pools["inline"],
        "c": None,
        "d": None,
        "e": pools["static"],
    }
    assert [(each["value"], each["invert"]) for each in by_name["a"]["rules"]] == [("/img", False), ("/x", True)]
    assert by_name["c"]["rules"][0]["project_id"] == by_name["c"]["project_id"] == "default"
    assert (by_name["d"]["rules"], by_name["d"]["redirect_http_code"]) == ([], 302)
    assert set(anywhere.statuses(created["id"]).values()) == {"PENDING_CREATE"}
    for each in by_name.values():
        shown = anywhere.client.get(f"/l7policies/{each['id']}").json["l7policy"]
        assert shown == {**each, "rules": [{"id": rule["id"]} for rule in each["rules"]]}
    for rule in by_name["a"]["rules"]:
        path = f"/l7policies/{by_name['a']['id']}/rules/{rule['id']}"
        assert anywhere.client.get(path).json == {"rule": rule}
    assert anywhere.client.delete(f"/loadbalancers/{created['id']}", cascade="true").status == 204


def _policy(**values: Any) -> dict[str, Any]:
    return {"listeners": [{**HTTP, "l7policies": [{"action": "REJECT", **values}]}]}


#: what the body has, the status and text of the refusal
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    (
        {"listeners": [{**HTTP, "default_pool": POOL}]},
        400,
        "Pools must be named when creating a fully populated loadbalancer.",
    ),
    (
        {"pools": [{**POOL, "name": "a"}], "listeners": [{**HTTP, "default_pool": {**POOL, "name": "a"}}]},
        400,
        "Pool names must be unique",
    ),
    ({"pools": [{**POOL, "name": "a"}, {**POOL, "name": "a"}]}, 400, "Pool names must be unique"),
    (
        {"listeners": [{**HTTP, "default_pool": {"name": "a"}}]},
        400,
        "Pool 'a' was referenced but no full definition was found.",
    ),
    (
        {"listeners": [{**HTTP, "default_pool": {"name": "a", "protocol": "HTTP"}}]},
        400,
        "Pool definition for 'a' missing required attribute: lb_algorithm",
    ),
    ({"pools": [{"lb_algorithm": "ROUND_ROBIN", "name": "b"}]}, 400, "missing required attribute: protocol"),
    ({"listeners": [{**HTTP, "default_pool_id": SUBNET}]}, 404, f"Pool {SUBNET} not found."),
    (
        {"listeners": [{**HTTP, "loadbalancer_id": SUBNET}]},
        400,
        "load_balancer.loadbalancer.listeners: loadbalancer_id",
    ),
    ({"pools": [{**POOL, "listener_id": SUBNET}]}, 400, "load_balancer.loadbalancer.pools: listener_id"),
    (
        {"pools": [{**POOL, "members": [{**MEMBER, "zz": 1}]}]},
        400,
        "Unknown attribute for argument load_balancer.loadbalancer.pools.members: zz",
    ),
    (
        {"pools": [{**POOL, "healthmonitor": {**MONITOR, "pool_id": SUBNET}}]},
        400,
        "load_balancer.loadbalancer.pools.healthmonitor: pool_id",
    ),
    ({"listeners": [{"protocol_port": 80}]}, 400, "protocol. Value: 'None'. Mandatory field missing."),
    ({"pools": [{**POOL, "members": [{"address": "10.0.0.1"}]}]}, 400, "protocol_port. Value: 'None'. Mandatory"),
    ({"pools": [{**POOL, "healthmonitor": {"type": "HTTP"}}]}, 400, "Mandatory field missing."),
    ({"listeners": {}}, 400, "Value should be a list"),
    ({"listeners": ["x"]}, 400, "Value should be an object"),
    (
        {"listeners": [{**HTTP, "default_pool": {"name": "a"}}], "pools": [{**POOL, "name": "a", "protocol": "TCP"}]},
        400,
        "The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
    ),
    ({"listeners": [HTTP, {**HTTP, "protocol": "TCP"}]}, 409, "already using protocol HTTP and protocol_port 80"),
    (
        {"listeners": [{"protocol": "PROMETHEUS", "protocol_port": 9, "default_pool": {**POOL, "name": "a"}}]},
        400,
        "Protocol PROMETHEUS listeners cannot have child objects.",
    ),
    (
        {"listeners": [{"protocol": "PROMETHEUS", "protocol_port": 9, "l7policies": [{"action": "REJECT"}]}]},
        400,
        "Protocol PROMETHEUS listeners cannot have child objects.",
    ),
    ({"listeners": [{**HTTP, "insert_headers": {"X-Bad": "true"}}]}, 400, "X-Bad is not a valid option"),
    ({"listeners": [{**HTTP, "hsts_max_age": 5}]}, 400, "The HSTS feature can only be used"),
    ({"listeners": [{**HTTP, "allowed_cidrs": ["2001:db8::/32"]}]}, 400, "IP version incompatible with all VIPs"),
    ({"pools": [{**POOL, "members": [MEMBER, MEMBER]}]}, 409, "already using ip 10.0.0.1 on protocol_port 80"),
    (
        {"pools": [{**POOL, "members": [{**MEMBER, "address": "169.254.169.254"}]}]},
        400,
        "169.254.169.254 is not a valid option for member address",
    ),
    ({"pools": [{**POOL, "healthmonitor": {**MONITOR, "type": "SCTP"}}]}, 400, "only supported for pools of type"),
    ({"pools": [{**POOL, "session_persistence": {"type": "APP_COOKIE"}}]}, 400, '"cookie_name" must be specified'),
    ({"pools": [{**POOL, "session_persistence": {}}]}, 400, "Mandatory field missing."),
    (
        {"listeners": [{"protocol": "TCP", "protocol_port": 9, "l7policies": [{"action": "REJECT"}]}]},
        501,
        "does not support a requested option: ",
    ),
    (_policy(listener_id=SUBNET), 400, "load_balancer.loadbalancer.listeners.l7policies: listener_id"),
    (_policy(redirect_pool_id=SUBNET), 400, "load_balancer.loadbalancer.listeners.l7policies: redirect_pool_id"),
    (_policy(rules=[{**RULE, "zz": 1}]), 400, "load_balancer.loadbalancer.listeners.l7policies.rules: zz"),
    (_policy(rules=[{"type": "PATH"}]), 400, "compare_type. Value: 'None'. Mandatory field missing."),
    (_policy(rules=[{**RULE, "value": "a b"}]), 400, "Error parsing L7Rule: Invalid characters in comparison value"),
    (_policy(rules=[RULE] * 51), 409, "Too many rules on L7 policy"),
    (_policy(action="REDIRECT_TO_POOL"), 400, "redirect_pool_id or redirect_pool must not be None"),
    (_policy(action="REDIRECT_TO_URL", redirect_url="x"), 400, "Not a valid URL"),
    (_policy(redirect_pool={"name": "a"}), 400, "Pool 'a' was referenced but no full definition was found."),
    (_policy(redirect_pool=POOL), 400, "Pools must be named when creating a fully populated loadbalancer."),
    (
        _policy(redirect_pool={"name": "a", "protocol": "HTTP"}),
        400,
        "Pool definition for 'a' missing required attribute: lb_algorithm",
    ),
    (
        _policy(redirect_pool={**POOL, "name": "a", "protocol": "TCP"}),
        400,
        "The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
    ),
    (
        {"pools": [{**POOL, "tls_enabled": True, "tls_versions": ["SSLv3"]}]},
        501,
        "Provider 'amphora' does not support a requested option: ",
    ),
    (
        {"pools": [{**POOL, "tls_enabled": True, "tls_versions": ["SSLv3"]}, {**POOL, "members": [MEMBER, MEMBER]}]},
        409,
        "already using ip",
    ),
]


@pytest.mark.parametrize("values, status, text", REFUSED)
def test_refused_graphs_leave_nothing(harness: Harness, values: dict[str, Any], status: int, text: str) -> None:
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, **values}}
    harness.refused("POST", "/loadbalancers", body, status, text)


@pytest.mark.parametrize(
    "kind, title",
    [
        ("load_balancer", "Load Balancer"),
        ("listener", "Listener"),
        ("pool", "Pool"),
        ("member", "Member"),
        ("health_monitor", "Health Monitor"),
        ("l7policy", "L7 Policy"),
        ("l7rule", "L7 Rule"),
    ],
)
def test_quotas_of_a_graph(make: MakeHarness, kind: str, title: str) -> None:
    harness = make(**{f"default_{kind}_quota": 0})
    pool = {**POOL, "name": "a", "members": [MEMBER], "healthmonitor": MONITOR}
    listener = {**HTTP, "default_pool": {"name": "a"}, "l7policies": [{"action": "REJECT", "rules": [RULE]}]}
    values = {"vip_subnet_id": SUBNET, "listeners": [listener], "pools": [pool]}
    text = f"Quota has been met for resources: {title}"
    assert harness.refused("POST", "/loadbalancers", {"loadbalancer": values}, 403) == text
