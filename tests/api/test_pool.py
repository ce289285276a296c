"""Errors and rules of pools (contract 30, part A)."""

from typing import Any

import pytest

from livia.core.rules.capabilities import NO_LIMITS
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree

REF = "https://keys.example.net/v1/containers/4c0a3f0e"
NOT_ABLE = "Provider 'amphora' does not support a requested option: "

#: values of a POST beyond the minimum, status, text
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"loadbalancer_id": None}, 400, "Must provide at least one of: loadbalancer_id, listener_id"),
    ({"loadbalancer_id": UNKNOWN}, 404, f"Load Balancer {UNKNOWN} not found."),
    ({"loadbalancer_id": None, "listener_id": UNKNOWN}, 404, f"Listener {UNKNOWN} not found."),
    ({"listener_id": UNKNOWN}, 404, f"Listener {UNKNOWN} not found."),
    ({"listener_id": "FOREIGN"}, 400, "does not belong to Load Balancer"),
    ({"listener_id": "USED"}, 409, "This listener already has a default pool"),
    (
        {"listener_id": "FREE", "protocol": "TCP"},
        400,
        "The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
    ),
    ({"crl_container_ref": REF}, 400, "A CA certificate reference is required"),
    ({"tls_ciphers": "a b"}, 400, "Invalid characters in cipher string"),
    ({"tls_enabled": True, "tls_versions": []}, 400, "Empty TLS version list"),
    ({"tls_enabled": True, "tls_versions": ["x"]}, 400, "Invalid TLS versions: x"),
    ({"tls_enabled": True, "alpn_protocols": []}, 400, "Empty ALPN protocol list"),
    (
        {"members": [{"address": "10.0.0.1", "protocol_port": 1}]},
        400,
        "Unknown attribute for argument pool_.pool: members",
    ),
    ({"healthmonitor": {"type": "TCP"}}, 400, "Mandatory field missing."),
    ({"protocol": "UDP", "tls_enabled": True}, 501, NOT_ABLE),
]


@pytest.mark.parametrize("values, status, text", REFUSED)
def test_refused_pools(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    body = {**tree.minimal("pool"), **values}
    if body.get("listener_id") == "FREE":
        body["listener_id"] = harness.listener(tree.load_balancer, protocol_port=81)["id"]
    elif body.get("listener_id") == "USED":
        body["listener_id"] = tree.listener
    elif body.get("listener_id") == "FOREIGN":
        body["listener_id"] = harness.listener(harness.load_balancer()["id"])["id"]
    harness.refused("POST", "/pools", {"pool": body}, status, text)


@pytest.mark.parametrize("both", [True, False])
def test_a_pool_of_a_listener(harness: Harness, both: bool) -> None:
    load_balancer_id = harness.load_balancer()["id"]
    listener_id = harness.listener(load_balancer_id)["id"]
    harness.confirm(load_balancer_id)
    parents = {"loadbalancer_id": load_balancer_id} if both else {}
    pool = harness.pool(listener_id=listener_id, **parents)
    assert (pool["listeners"], pool["loadbalancers"]) == ([{"id": listener_id}], [{"id": load_balancer_id}])
    listener = harness.client.get(f"/listeners/{listener_id}").json["listener"]
    assert (listener["default_pool_id"], listener["provisioning_status"]) == (pool["id"], "PENDING_UPDATE")
    assert "healthmonitor_id" not in pool


SOURCE_IP = {"type": "SOURCE_IP"}
COOKIE = {"type": "APP_COOKIE", "cookie_name": "c"}
#: pool protocol, persistence, the text of the refusal; None: accepted
PERSISTENCE: list[tuple[str, Any, str | None]] = [
    *((protocol, SOURCE_IP, None) for protocol in ("HTTP", "TCP", "HTTPS", "PROXY", "PROXYV2")),
    *((protocol, {"type": "HTTP_COOKIE"}, None) for protocol in ("HTTP", "PROXY", "PROXYV2")),
    *((protocol, COOKIE, None) for protocol in ("HTTP", "PROXY", "PROXYV2")),
    ("HTTP", {**SOURCE_IP, "persistence_timeout": 0}, None),
    ("HTTP", {"type": "APP_COOKIE"}, 'Field "cookie_name" must be specified when using the "APP_COOKIE"'),
    ("HTTP", {"type": "APP_COOKIE", "cookie_name": ""}, 'Field "cookie_name" must be specified'),
    ("HTTP", {**SOURCE_IP, "cookie_name": "c"}, 'can only be specified with session persistence of type "APP_COOKIE".'),
    ("HTTP", {"type": "HTTP_COOKIE", "cookie_name": "c"}, "can only be specified with session persistence of type"),
    *(("HTTP", {**COOKIE, "cookie_name": name}, "cookie_name") for name in ("a b", "a;b", "a,b", "a\\b", "a\nb")),
    *(
        ("HTTP", {**COOKIE, "cookie_name": name}, 'Supplied "cookie_name" is invalid.')
        for name in ('a"', "a=b", "a\x7f")
    ),
    ("HTTP", {**SOURCE_IP, "persistence_timeout": 5}, "is only for UDP and SCTP protocol pools."),
    ("TCP", {**SOURCE_IP, "persistence_granularity": "255.0.0.0"}, "is only for UDP and SCTP protocol pools."),
    ("HTTP", {**SOURCE_IP, "persistence_granularity": "x"}, "Value should be IPv4 or IPv6 format"),
    ("HTTP", {}, "Mandatory field missing."),
    ("HTTP", {"type": None}, "Mandatory field missing."),
    ("HTTP", {"type": "COOKIE"}, "Value should be one of:"),
    ("HTTP", {**SOURCE_IP, "x": 1}, "Unknown attribute for argument pool_.pool.session_persistence: x"),
    ("UDP", {**SOURCE_IP, "cookie_name": "c"}, "for UDP and SCTP protocols only accepts"),
    ("UDP", COOKIE, "Cookie names are not supported for UDP/SCTP pools."),
    ("SCTP", {"type": "HTTP_COOKIE"}, "type HTTP_COOKIE is not supported for UDP/SCTP protocol pools."),
]


@pytest.mark.parametrize("protocol, persistence, text", PERSISTENCE)
def test_persistence_of_a_new_pool(
    harness: Harness, tree: Tree, protocol: str, persistence: Any, text: str | None
) -> None:
    body = {"pool": {**tree.minimal("pool"), "protocol": protocol, "session_persistence": persistence}}
    if text is not None:
        harness.refused("POST", "/pools", body, 400, text)
        return
    shown = harness.accepted(harness.client.post("/pools", body))["session_persistence"]
    empty = {"cookie_name": None, "persistence_timeout": None, "persistence_granularity": None}
    assert shown == {**empty, **persistence}


@pytest.mark.parametrize("persistence", [COOKIE, {"type": "HTTP_COOKIE"}])
@pytest.mark.parametrize("protocol", ["TCP", "HTTPS"])
def test_cookies_where_nobody_reads_them(harness: Harness, protocol: str, persistence: dict[str, Any]) -> None:
    """However pool, listener and persistence come together; SOURCE_IP stays possible."""
    key = harness.load_balancer()["id"]
    given = {"loadbalancer_id": key, "lb_algorithm": "ROUND_ROBIN"}
    why = f"{persistence['type']} needs cookies, and {protocol} is passed on unread"
    cookies = {**given, "protocol": protocol, "session_persistence": persistence}
    harness.refused("POST", "/pools", {"pool": cookies}, 501, why)

    listener = {"loadbalancer_id": key, "protocol": protocol, "protocol_port": 81}
    reader = harness.pool(**given, protocol="PROXY", session_persistence=persistence)["id"]
    harness.refused("POST", "/listeners", {"listener": {**listener, "default_pool_id": reader}}, 501, why)
    listener_id = harness.listener(key, protocol=protocol, protocol_port=81)["id"]
    path = f"/listeners/{listener_id}"
    harness.refused("PUT", path, {"listener": {"default_pool_id": reader}}, 501, why)
    attached = {**cookies, "protocol": "PROXY", "listener_id": listener_id}
    harness.refused("POST", "/pools", {"pool": attached}, 501, why)

    pool = harness.pool(**given, protocol="PROXY", listener_id=listener_id, session_persistence=SOURCE_IP)["id"]
    harness.refused("PUT", f"/pools/{pool}", {"pool": {"session_persistence": persistence}}, 501, why)
    graph = {**listener, "default_pool": {**attached, "name": "x"}}
    for mine in ("loadbalancer_id", "listener_id"):
        graph.pop(mine, None)
        graph["default_pool"].pop(mine, None)
    whole = {"vip_subnet_id": SUBNET, "listeners": [graph]}
    harness.refused("POST", "/loadbalancers", {"loadbalancer": whole}, 501, why)


@pytest.mark.parametrize("protocol", ["TCP", "HTTPS"])
def test_a_data_plane_without_limits_takes_cookies_anywhere(make: MakeHarness, protocol: str) -> None:
    harness = make(limits=NO_LIMITS)
    key = harness.load_balancer()["id"]
    listener = harness.listener(key, protocol=protocol, protocol_port=81)["id"]
    for given in ({"protocol": protocol, "loadbalancer_id": key}, {"protocol": "PROXY", "listener_id": listener}):
        assert harness.pool(**given, session_persistence=COOKIE)["session_persistence"]["type"] == COOKIE["type"]
    # What the contract asks of the provider itself is refused whatever data plane it has.
    pool = harness.pool(loadbalancer_id=key, protocol="UDP")["id"]
    member = {"address": "2001:db8::1", "protocol_port": 53}
    harness.refused("POST", f"/pools/{pool}/members", {"member": member}, 501, "IP version incompatible")


#: tls_ciphers, tls_versions, why not; None: accepted
CIPHERS: list[tuple[str, list[str], str | None]] = [
    ("ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256", ["TLSv1.2", "TLSv1.3"], None),
    ("HIGH:!aNULL:unknown", ["TLSv1.2"], None),
    ("TLS_AES_128_GCM_SHA256", ["TLSv1.2", "TLSv1.3"], None),
    ("nonsense", ["TLSv1.2"], "OpenSSL knows no cipher that it selects."),
    ("!ALL:TLS_AES_128_GCM_SHA256", ["TLSv1.3"], "OpenSSL knows no cipher that it selects."),
    ("TLS_NONSENSE", ["TLSv1.3"], "OpenSSL knows no cipher that it selects."),
    ("TLS_AES_128_GCM_SHA256", ["TLSv1.2"], "tls_versions has only TLSv1.2"),
]


@pytest.mark.parametrize("ciphers, versions, why", CIPHERS)
def test_ciphers_that_can_be_used(
    harness: Harness, tree: Tree, ciphers: str, versions: list[str], why: str | None
) -> None:
    values = {"tls_enabled": True, "tls_ciphers": ciphers, "tls_versions": versions}
    body = {"pool": {**tree.minimal("pool"), **values}}
    if why is None:
        harness.accepted(harness.client.post("/pools", body))
        return
    harness.refused("POST", "/pools", body, 400, why)
    path = f"/pools/{harness.pool(loadbalancer_id=tree.load_balancer, tls_enabled=True)['id']}"
    harness.refused("PUT", path, {"pool": values}, 400, why)


#: what is stored, what is sent, what is shown then, or the text of the refusal
PERSISTENCE_UPDATES: list[tuple[Any, Any, Any]] = [
    (None, SOURCE_IP, ("SOURCE_IP", None)),
    (COOKIE, {"cookie_name": "d"}, ("APP_COOKIE", "d")),
    (COOKIE, {"type": "HTTP_COOKIE"}, ("HTTP_COOKIE", None)),
    (COOKIE, SOURCE_IP, ("SOURCE_IP", None)),
    (COOKIE, None, None),
    (COOKIE, {}, '"cookie_name" must be specified'),
    (None, {"cookie_name": "c"}, "Invalid session_persistence provided."),
    (None, {}, "Invalid session_persistence provided."),
    (SOURCE_IP, {"cookie_name": "c"}, 'can only be specified with session persistence of type "APP_COOKIE".'),
    (SOURCE_IP, {"persistence_timeout": 5}, "only for UDP protocol pools."),
]


@pytest.mark.parametrize("stored, sent, result", PERSISTENCE_UPDATES)
def test_persistence_updates(harness: Harness, tree: Tree, stored: Any, sent: Any, result: Any) -> None:
    path = tree.paths["pool"]
    harness.accepted(harness.client.put(path, {"pool": {"session_persistence": stored}}), 200)
    if isinstance(result, str):
        harness.refused("PUT", path, {"pool": {"session_persistence": sent}}, 400, result)
        return
    harness.accepted(harness.client.put(path, {"pool": {"session_persistence": sent}}), 200)
    shown = harness.accepted(harness.client.put(path, {"pool": {}}), 200)["session_persistence"]
    assert (None if shown is None else (shown["type"], shown["cookie_name"])) == result


REFUSED_UPDATES: list[tuple[dict[str, Any], int, str]] = [
    ({"crl_container_ref": REF}, 400, "CA certificate reference is required"),
    ({"ca_tls_container_ref": None, "crl_container_ref": REF}, 400, "A CA reference cannot be removed"),
    ({"tls_versions": []}, 400, "Empty TLS version list"),
    ({"tls_versions": ["x"]}, 400, "Invalid TLS versions: x"),
    ({"alpn_protocols": []}, 400, "Empty ALPN protocol list"),
    ({"tls_ciphers": "a b"}, 400, "Invalid characters in cipher string"),
]


@pytest.mark.parametrize("values, status, text", REFUSED_UPDATES)
def test_refused_updates(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    harness.refused("PUT", tree.paths["pool"], {"pool": values}, status, text)


def test_encryption_may_begin_on_a_pool_that_never_named_versions(harness: Harness, tree: Tree) -> None:
    values = {"tls_enabled": True, "tls_ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"}
    shown = harness.client.put(tree.paths["pool"], {"pool": values}).json["pool"]
    assert shown["tls_enabled"] is True
    assert shown["tls_ciphers"] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_delete_takes_members_and_monitor_along(harness: Harness, tree: Tree) -> None:
    assert harness.client.delete(tree.paths["pool"]).status == 204
    assert harness.statuses(tree.load_balancer) == {
        "load_balancer": "PENDING_UPDATE",
        "listener http": "PENDING_UPDATE",
        "pool blue": "PENDING_DELETE",
        "member one": "PENDING_DELETE",
        "health_monitor check": "PENDING_DELETE",
        "l7policy away": "ACTIVE",
        "l7rule /old": "ACTIVE",
    }
    assert harness.client.get(tree.paths["listener"]).json["listener"]["default_pool_id"] is None


def test_a_pool_that_a_policy_uses_stays(make: MakeHarness) -> None:
    harness = make(immutable_while_pending=True)
    tree = make().tree()
    target = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": tree.pool, "admin_state_up": False}
    policy = make().policy(tree.listener, **target)["id"]
    text = f"Pool {tree.pool} is in use by L7 policy {policy}"
    harness.refused("DELETE", tree.paths["pool"], None, 409, text)
    patient = make()
    patient.refused("DELETE", tree.paths["pool"], None, 409, text)
    # One that is on its way out holds nobody up.
    assert patient.client.delete(f"/l7policies/{policy}").status == 204
    assert patient.client.delete(tree.paths["pool"]).status == 204
