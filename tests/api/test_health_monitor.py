"""Errors and rules of health monitors (contract 40)."""

from typing import Any

import pytest

from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree

DOMAIN = "'http_version' must be specified when 'domain_name' is provided."
VERSION = "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check"

#: values of a POST beyond the minimum (HTTP), status, text
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
    ({"pool_id": None}, 404, "Pool None not found."),
    ({"domain_name": "a.example.net"}, 400, DOMAIN),
    ({"domain_name": "a.example.net", "http_version": 1.0}, 400, VERSION),
    ({"type": "TCP", "domain_name": "a.example.net"}, 400, DOMAIN),
    (
        {"type": "UDP-CONNECT"},
        400,
        "Validation failure: The UDP-CONNECT type is only supported for pools of type UDP/SCTP.",
    ),
    ({"type": "SCTP"}, 400, "Validation failure: The SCTP type is only supported for pools of type UDP/SCTP."),
    *(
        ({"type": kind, name: value}, 400, f"{name} is not a valid option for health monitors of type {kind}")
        for kind in ("TCP", "PING", "TLS-HELLO")
        for name, value in (("http_method", "GET"), ("url_path", "/"), ("expected_codes", "200"))
    ),
    ({"type": "TCP", "url_path": "/", "http_method": "GET"}, 400, "http_method, url_path is not a valid option"),
    ({}, 409, "This pool already has a health monitor"),
]


@pytest.mark.parametrize("values, status, text", REFUSED)
def test_refused_monitors(harness: Harness, tree: Tree, values: dict[str, Any], status: int, text: str) -> None:
    body = {"healthmonitor": {**tree.minimal("healthmonitor"), **values}}
    harness.refused("POST", "/healthmonitors", body, status, text)


@pytest.mark.parametrize("kind, shown", [("HTTP", "GET"), ("HTTPS", "GET"), ("TCP", None), ("TLS-HELLO", None)])
def test_kinds_of_monitors(harness: Harness, tree: Tree, kind: str, shown: str | None) -> None:
    pool = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    created = harness.monitor(pool, type=kind, http_method=None, http_version=1.1, domain_name="a.example.net.")
    assert (created["type"], created["http_method"], created["pools"]) == (kind, shown, [{"id": pool}])
    assert (created["http_version"], created["domain_name"]) == (1.1, "a.example.net.")


@pytest.mark.parametrize("name", ["_a.b", "10.0.0.1", "a", "x" * 63, "a-b.c_".replace("_", "")])
def test_domain_names(harness: Harness, tree: Tree, name: str) -> None:
    values = {"http_version": 1.1, "domain_name": name}
    shown = harness.accepted(harness.client.put(tree.paths["healthmonitor"], {"healthmonitor": values}), 200)
    assert shown["domain_name"] == name


def test_ping(make: MakeHarness, harness: Harness, tree: Tree) -> None:
    pool = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    body = {"healthmonitor": {**tree.minimal("healthmonitor"), "pool_id": pool, "type": "PING"}}
    text = "The selected type is not allowed in this deployment: PING"
    make(allow_ping_health_monitors=False).refused("POST", "/healthmonitors", body, 400, text)
    assert harness.accepted(harness.client.post("/healthmonitors", body), 201)["type"] == "PING"


#: what is stored first, what is sent, status, text
UPDATES: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
    *(
        ({}, {name: None}, 400, f"None is not a valid option for {name}")
        for name in ("delay", "timeout", "max_retries")
    ),
    ({}, {"domain_name": "a.b"}, 400, DOMAIN),
    ({"http_version": 1.0}, {"domain_name": "a.b"}, 400, VERSION),
    ({"http_version": 1.1, "domain_name": "a.b"}, {"http_version": 1.0}, 400, VERSION),
    ({"http_version": 1.1, "domain_name": "a.b"}, {"http_version": None}, 400, DOMAIN),
    ({"http_version": 1.1, "domain_name": "a.b"}, {"http_version": 1.0, "domain_name": None}, 200, ""),
    ({"http_version": 1.1, "domain_name": "a.b"}, {"domain_name": None}, 200, ""),
]


@pytest.mark.parametrize("stored, sent, status, text", UPDATES)
def test_updates(
    harness: Harness, tree: Tree, stored: dict[str, Any], sent: dict[str, Any], status: int, text: str
) -> None:
    path = tree.paths["healthmonitor"]
    harness.accepted(harness.client.put(path, {"healthmonitor": stored}), 200)
    if status == 200:
        shown = harness.accepted(harness.client.put(path, {"healthmonitor": sent}), 200)
        assert {name: shown[name] for name in sent} == sent
    else:
        harness.refused("PUT", path, {"healthmonitor": sent}, status, text)


@pytest.mark.parametrize("name", ["http_method", "url_path", "expected_codes"])
def test_http_attributes_of_other_monitors(harness: Harness, tree: Tree, name: str) -> None:
    pool = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    path = f"/healthmonitors/{harness.monitor(pool, type='TCP')['id']}"
    text = f"{name} is not a valid option for health monitors of type TCP"
    harness.refused("PUT", path, {"healthmonitor": {name: None}}, 400, text)


def test_one_monitor_after_another(harness: Harness, tree: Tree) -> None:
    assert harness.client.delete(tree.paths["healthmonitor"]).status == 204
    created = harness.monitor(tree.pool)
    assert harness.client.get(tree.paths["pool"]).json["pool"]["healthmonitor_id"] == created["id"]
    assert harness.client.get(tree.paths["healthmonitor"]).status == 404
