"""Errors and rules of listeners (contract 20, sections 4 to 9)."""

from typing import Any

import pytest

from livia.core.rules.capabilities import NO_LIMITS
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree

REF = "https://keys.example.net/v1/containers/4c0a3f0e"
NOT_ABLE = "Provider 'amphora' does not support a requested option: "
PROTOCOLS = ("TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "UDP", "SCTP", "PROMETHEUS")
VALID = "Validation failure: "

#: values beyond protocol and port 8080, status, text
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"loadbalancer_id": UNKNOWN}, 404, f"Load Balancer {UNKNOWN} not found."),
    ({"loadbalancer_id": None}, 404, "Load Balancer None not found."),
    ({"protocol": "PROMETHEUS", "default_pool_id": "POOL"}, 400, "Protocol PROMETHEUS listeners cannot have child"),
    ({"default_pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
    ({"default_pool_id": "FOREIGN"}, 404, "not found."),
    *(
        (
            {"protocol": protocol, "default_pool_id": "POOL"},
            400,
            f"protocol 'HTTP' is invalid while the listener protocol is '{protocol}'.",
        )
        for protocol in ("HTTPS", "UDP", "SCTP")
    ),
    *(
        (
            {"protocol": protocol, "insert_headers": {"X-Forwarded-For": "true"}},
            400,
            f"insert-headers is not a valid option for a {protocol} protocol listener.",
        )
        for protocol in ("TCP", "HTTPS", "UDP", "SCTP", "PROMETHEUS")
    ),
    ({"insert_headers": {"X-Bad": "true"}}, 400, "X-Bad is not a valid option for insert_headers"),
    ({"insert_headers": {"x-forwarded-for": "true"}}, 400, "x-forwarded-for is not a valid option for insert_headers"),
    (
        {"insert_headers": {"X-SSL-Client-CN": "true"}},
        400,
        "['X-SSL-Client-CN'] is not a valid option for HTTP protocol listener.",
    ),
    ({"protocol": "UDP", "default_tls_container_ref": REF}, 400, f"{VALID}UDP protocol listener does not support TLS"),
    ({"protocol": "SCTP", "sni_container_refs": [REF]}, 400, f"{VALID}SCTP protocol listener does not support TLS"),
    *(
        (
            {"protocol": protocol, name: value},
            400,
            f"{VALID}Certificate container references are not allowed on {protocol} protocol listeners.",
        )
        for protocol in ("TCP", "HTTP", "HTTPS")
        for name, value in (("default_tls_container_ref", REF), ("sni_container_refs", [REF, REF]))
    ),
    *(
        (
            {"protocol": protocol, "client_ca_tls_container_ref": REF},
            400,
            f"{VALID}An SNI or default certificate container reference must be provided with a client CA",
        )
        for protocol in PROTOCOLS
    ),
    ({"protocol": "TERMINATED_HTTPS"}, 400, "must be provided for TERMINATED_HTTPS protocol listeners."),
    *(
        (
            {"client_authentication": mode},
            400,
            f"Client authentication setting {mode} requires a client CA container reference.",
        )
        for mode in ("OPTIONAL", "MANDATORY")
    ),
    ({"client_crl_container_ref": REF}, 400, "client authentication revocation list"),
    ({"tls_ciphers": "AES;rm"}, 400, f"{VALID}Invalid characters in cipher string"),
    (
        {"protocol_port": 80},
        409,
        "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80",
    ),
    ({"protocol": "TCP", "protocol_port": 80}, 409, "already using protocol HTTP and protocol_port 80"),
    ({"protocol": "PROMETHEUS", "protocol_port": 80}, 409, "already using protocol HTTP and protocol_port 80"),
    (
        {"allowed_cidrs": ["2001:db8::/32"]},
        400,
        f"{VALID}CIDR 2001:db8::/32 IP version incompatible with all VIPs [198.51.100.1] IP version.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": REF, "tls_versions": []},
        400,
        "Empty TLS version list",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": REF, "tls_versions": ["SSLv9"]},
        400,
        "Invalid TLS versions: SSLv9",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": REF, "alpn_protocols": []},
        400,
        "Empty ALPN protocol list",
    ),
    (
        {"hsts_max_age": 0},
        400,
        f"{VALID}The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol.",
    ),
    ({"hsts_preload": True}, 400, "hsts_max_age is set as well"),
    ({"hsts_include_subdomains": True}, 400, "hsts_max_age is set as well"),
    ({"default_pool": {"name": "x"}}, 400, "Unknown attribute for argument listener_.listener: default_pool"),
    ({"l7policies": [{"action": "REJECT"}]}, 400, "Unknown attribute for argument listener_.listener: l7policies"),
    ({"protocol": "PROMETHEUS", "insert_headers": {"X-Forwarded-For": "true"}}, 400, "is not a valid option"),
]


@pytest.mark.parametrize("values, status, text", REFUSED)
def test_refused_listeners(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    body = {**tree.minimal("listener"), **values}
    if body.get("default_pool_id") == "POOL":
        body["default_pool_id"] = tree.pool
    elif body.get("default_pool_id") == "FOREIGN":
        body["default_pool_id"] = harness.pool(loadbalancer_id=harness.load_balancer()["id"])["id"]
    harness.refused("POST", "/listeners", {"listener": body}, status, text)


#: values of a PUT to the tree's HTTP listener, status, text
REFUSED_UPDATES: list[tuple[dict[str, Any], int, str]] = [
    ({"default_pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
    ({"insert_headers": {"X-Bad": "true"}}, 400, "['X-Bad'] is not a valid option for insert_headers"),
    ({"insert_headers": {"X-SSL-Issuer": "true"}}, 400, "['X-SSL-Issuer'] is not a valid option for HTTP protocol"),
    (
        {"default_tls_container_ref": REF},
        400,
        "Certificate container references are not allowed on HTTP protocol listeners.",
    ),
    (
        {"sni_container_refs": [REF]},
        400,
        "Certificate container references are not allowed on HTTP protocol listeners.",
    ),
    ({"client_ca_tls_container_ref": REF}, 400, "must be provided with a client CA container reference."),
    ({"client_authentication": "MANDATORY"}, 400, "Client authentication setting MANDATORY requires a client CA"),
    ({"client_crl_container_ref": REF}, 400, "client authentication revocation list"),
    ({"tls_ciphers": "a b"}, 400, "Invalid characters in cipher string"),
    ({"tls_versions": []}, 400, "Empty TLS version list"),
    ({"tls_versions": ["x"]}, 400, "Invalid TLS versions: x"),
    ({"alpn_protocols": []}, 400, "Empty ALPN protocol list"),
    ({"allowed_cidrs": ["::/0"]}, 400, "CIDR ::/0 IP version incompatible with all VIPs"),
    ({"hsts_preload": True}, 400, "hsts_max_age was not set as well"),
    ({"hsts_max_age": 7}, 400, "The HSTS feature can only be used"),
]


@pytest.mark.parametrize("values, status, text", REFUSED_UPDATES)
def test_refused_updates(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    harness.refused("PUT", tree.paths["listener"], {"listener": values}, status, text)


def test_updates_of_the_default_pool(harness: Harness, tree: Tree) -> None:
    path = tree.paths["listener"]
    tcp = harness.pool(loadbalancer_id=tree.load_balancer, protocol="TCP")["id"]
    text = "The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."
    harness.refused("PUT", path, {"listener": {"default_pool_id": tcp}}, 400, text)
    foreign = harness.pool(loadbalancer_id=harness.load_balancer()["id"])["id"]
    harness.refused("PUT", path, {"listener": {"default_pool_id": foreign}}, 404, f"Pool {foreign} not found.")
    detached = harness.accepted(harness.client.put(path, {"listener": {"default_pool_id": None}}), 200)
    assert detached["default_pool_id"] is None
    assert harness.client.get(tree.paths["pool"]).json["pool"]["listeners"] == []
    attached = harness.accepted(harness.client.put(path, {"listener": {"default_pool_id": tree.pool}}), 200)
    assert attached["default_pool_id"] == tree.pool


def test_what_kubernetes_sends_on_update(harness: Harness, tree: Tree) -> None:
    values = {"default_pool_id": None, "tls_versions": None, "alpn_protocols": None}
    assert harness.client.put(tree.paths["listener"], {"listener": values}).status == 200


SHARED: list[tuple[str, str, bool]] = [
    ("HTTP", "TCP", False),
    ("HTTPS", "HTTP", False),
    ("TCP", "HTTPS", False),
    ("TCP", "TCP", False),
]


@pytest.mark.parametrize("first, second, fine", SHARED)
def test_ports_of_one_family(harness: Harness, first: str, second: str, fine: bool) -> None:
    load_balancer_id = harness.load_balancer()["id"]
    harness.listener(load_balancer_id, protocol=first)
    body = {"loadbalancer_id": load_balancer_id, "protocol": second, "protocol_port": 80}
    text = f"already using protocol {first} and protocol_port 80"
    harness.refused("POST", "/listeners", {"listener": body}, 409, text)
    assert harness.listener(harness.load_balancer()["id"], protocol=second)["protocol"] == second


def test_cidrs_and_security_groups(harness: Harness) -> None:
    load_balancer_id = harness.load_balancer(vip_sg_ids=[SUBNET])["id"]
    body = {
        "loadbalancer_id": load_balancer_id,
        "protocol": "TCP",
        "protocol_port": 80,
        "allowed_cidrs": ["10.0.0.0/8"],
    }
    text = "Allowed CIDRs are not allowed when using custom VIP Security Groups."
    harness.refused("POST", "/listeners", {"listener": body}, 400, text)


def test_cidrs_of_additional_vips(harness: Harness) -> None:
    vips = [{"subnet_id": UNKNOWN, "ip_address": "2001:db8::7"}]
    load_balancer_id = harness.load_balancer(additional_vips=vips)["id"]
    created = harness.listener(load_balancer_id, allowed_cidrs=["2001:db8::5/32", "10.0.0.0/8"])
    assert sorted(created["allowed_cidrs"]) == ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    "option, values, text",
    [
        ({"allow_prometheus_listeners": False}, {"protocol": "PROMETHEUS"}, "PROMETHEUS"),
        (
            {"allow_tls_terminated_listeners": False},
            {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": REF},
            "TERMINATED_HTTPS",
        ),
        (
            {"allow_tls_terminated_listeners": False},
            {"protocol": "PROMETHEUS", "default_tls_container_ref": REF},
            "PROMETHEUS with TLS",
        ),
    ],
)
def test_protocols_that_the_deployment_forbids(
    make: MakeHarness, option: dict[str, Any], values: dict[str, Any], text: str
) -> None:
    harness = make(**option)
    body = {"loadbalancer_id": harness.load_balancer()["id"], "protocol_port": 1, **values}
    expected = f"The selected protocol is not allowed in this deployment: {text}"
    assert harness.refused("POST", "/listeners", {"listener": body}, 400) == expected


def test_no_way_around_by_a_change(make: MakeHarness) -> None:
    permissive, strict = make(limits=NO_LIMITS), make(limits=NO_LIMITS, allow_tls_terminated_listeners=False)
    load_balancer = permissive.load_balancer()["id"]

    def path(port: int, **values: Any) -> str:
        made = permissive.listener(load_balancer, protocol="PROMETHEUS", protocol_port=port, **values)
        return f"/listeners/{made['id']}"

    plain, encrypted = path(1), path(2, default_tls_container_ref=REF)
    text = "The selected protocol is not allowed in this deployment: PROMETHEUS with TLS"
    for values in ({"default_tls_container_ref": REF}, {"sni_container_refs": [REF]}):
        strict.refused("PUT", plain, {"listener": values}, 400, text)
        # What was allowed once can be renewed.
        strict.accepted(strict.client.put(encrypted, {"listener": values}), 200)
        permissive.accepted(permissive.client.put(plain, {"listener": values}), 200)
        permissive.accepted(
            permissive.client.put(plain, {"listener": {"sni_container_refs": [], "default_tls_container_ref": None}}),
            200,
        )
    strict.accepted(strict.client.put(plain, {"listener": {"name": "n"}}), 200)


def test_versions_that_the_data_plane_has_not(harness: Harness, tree: Tree) -> None:
    old = f"{NOT_ABLE}listener with tls_versions SSLv3 is not available (it does TLSv1, TLSv1.1, TLSv1.2, TLSv1.3)."
    gap = f"{NOT_ABLE}listener with a gap in tls_versions is not available."
    encrypted = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": REF}
    path = f"/listeners/{harness.listener(tree.load_balancer, **encrypted)['id']}"
    body = {**encrypted, "loadbalancer_id": tree.load_balancer, "protocol_port": 444}
    for versions, text in ((["SSLv3", "TLSv1"], old), (["TLSv1.3", "TLSv1.1"], gap)):
        values = {"tls_versions": versions}
        harness.refused("PUT", path, {"listener": values}, 501, text)
        harness.refused("POST", "/listeners", {"listener": {**body, **values}}, 501, text)
        # Where nothing is encrypted they are kept, and mean nothing.
        harness.accepted(harness.client.put(tree.paths["listener"], {"listener": values}), 200)
        harness.accepted(harness.client.put(tree.paths["pool"], {"pool": values}), 200)
        text = text.replace("listener with", "pool with")
        harness.refused("PUT", tree.paths["pool"], {"pool": {"tls_enabled": True}}, 501, text)
        harness.refused("PUT", tree.paths["pool"], {"pool": {"tls_enabled": True, **values}}, 501, text)
        harness.refused("POST", "/pools", {"pool": {**tree.minimal("pool"), "tls_enabled": True, **values}}, 501, text)


def test_tls_that_the_deployment_forbids(make: MakeHarness) -> None:
    harness = make(tls_cipher_prohibit_list="RC4:DES", minimum_tls_version="TLSv1.2")
    tree = harness.tree()
    path = tree.paths["listener"]
    text = "The following ciphers have been prohibited by an administrator: RC4, DES"
    harness.refused("PUT", path, {"listener": {"tls_ciphers": "RC4:AES:DES"}}, 400, text)
    old = {"listener": {"tls_versions": ["TLSv1", "TLSv1.3"]}}
    harness.refused("PUT", path, old, 400, "Requested TLS versions are less than the minimum: TLSv1 < TLSv1.2")


def test_timeouts_have_configured_defaults(make: MakeHarness) -> None:
    harness = make(timeout_client_data=7, timeout_tcp_inspect=8)
    created = harness.listener(harness.load_balancer()["id"])
    assert (created["timeout_client_data"], created["timeout_tcp_inspect"]) == (7, 8)


def test_delete_keeps_the_pool_and_takes_policies_along(harness: Harness, tree: Tree) -> None:
    assert harness.client.delete(tree.paths["listener"]).status == 204
    assert harness.statuses(tree.load_balancer) == {
        "load_balancer": "PENDING_UPDATE",
        "listener http": "PENDING_DELETE",
        "pool blue": "ACTIVE",
        "member one": "ACTIVE",
        "health_monitor check": "ACTIVE",
        "l7policy away": "PENDING_DELETE",
        "l7rule /old": "PENDING_DELETE",
    }
