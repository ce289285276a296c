"""Strategies that believe identity headers: noauth and testing (contract 80, section 1)."""

from collections.abc import Mapping
from typing import Any

import pytest

from livia.api.auth import Authenticator, NoAuth, Testing, Unauthorized
from livia.api.policy_files import FilePolicy
from livia.services.context import Context
from livia.services.settings import PolicySettings
from livia.store.engine import Database
from tests.api.client import Client
from tests.api.clock import MovableClock
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness

#: headers, and what a caller is who sends them
HEADERS: list[tuple[Mapping[str, str], dict[str, Any]]] = [
    ({}, {}),
    ({"X-Project-Id": "p"}, {"project_id": "p"}),
    ({"X-Tenant-Id": "t"}, {"project_id": "t"}),
    ({"X-Project-Id": "p", "X-Tenant-Id": "t"}, {"project_id": "p"}),
    ({"X-User-Id": "u"}, {"user_id": "u"}),
    ({"X-Roles": "member, reader"}, {"roles": frozenset({"member", "reader"})}),
    ({"X-Roles": ""}, {}),
    ({"X-Domain-Id": "d"}, {"domain_id": "d"}),
    (
        {"X-User-Domain-Id": "u", "X-Project-Domain-Id": "p"},
        {"user_domain_id": "u", "project_domain_id": "p"},
    ),
    ({"OpenStack-System-Scope": "all"}, {"system_scope": "all"}),
]


class Recording:
    """An authenticator that remembers whom another one found."""

    def __init__(self, inner: Authenticator) -> None:
        self.inner = inner
        self.seen: Context | None = None

    def authenticate(self, *arguments: Any) -> Context:
        self.seen = self.inner.authenticate(*arguments)
        return self.seen


@pytest.mark.parametrize("strategy, is_admin", [(NoAuth(None), True), (Testing(), False)])
def test_headers_are_believed(make: MakeHarness, strategy: Authenticator, is_admin: bool) -> None:
    recording = Recording(strategy)
    harness = make(authenticator=recording)
    for headers, expected in HEADERS:
        answer = harness.client.request("GET", "/", root="/v2", headers=headers)
        request_id = answer.headers["x-openstack-request-id"]
        assert recording.seen == Context(is_admin=is_admin, request_id=request_id, **expected), headers


def test_only_roles_decide_when_testing(database: Database) -> None:
    policy = FilePolicy(PolicySettings(), (), MovableClock())
    client = Harness(database, authenticator=Testing(), policy=policy).client
    assert client.request("GET", "/pools", headers={"X-Project-Id": "p"}).status == 403
    assert client.request("GET", "/pools", headers={"X-Project-Id": "p", "X-Roles": "ReaDer"}).status == 200
    assert client.request("GET", "/pools", headers={"X-Roles": "reader"}).status == 403
    assert client.request("GET", "/pools", headers={"X-Roles": "admin"}).status == 200


def test_a_new_load_balancer_needs_a_project(database: Database) -> None:
    policy = FilePolicy(PolicySettings(), (), MovableClock())
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    for harness in (
        Harness(database, authenticator=Testing(), policy=policy),
        Harness(database, default_project=None),
    ):
        harness.client = Client(harness.app, headers={"X-Roles": "admin"})
        harness.refused("POST", "/loadbalancers", body, 400, "Validation failure: Missing project ID in request")


class Nobody:
    """An authenticator that knows nobody."""

    def authenticate(self, *_arguments: object) -> Context:
        raise Unauthorized('Keystone uri="https://identity.example.net"')


def test_the_answer_to_strangers(make: MakeHarness) -> None:
    client = make(authenticator=Nobody(), healthcheck_enabled=True).client
    for method, path in (
        ("GET", "/v2"),
        ("GET", "/v2/lbaas/pools"),
        ("PUT", "/v2.0/lbaas/pools/x"),
        ("GET", "/load-balancer/v2/lbaas/pools"),
        ("GET", "/nowhere"),
        ("PATCH", "/v2/lbaas/pools"),
    ):
        answer = client.request(method, path, root="", headers={"Accept": "text/html"})
        assert answer.status == 401, path
        assert answer.json == {
            "error": {
                "code": 401,
                "title": "Unauthorized",
                "message": "The request you have made requires authentication.",
            }
        }
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["www-authenticate"] == 'Keystone uri="https://identity.example.net"'
        assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_what_strangers_may_see(make: MakeHarness) -> None:
    client = make(authenticator=Nobody(), healthcheck_enabled=True).client
    for path, status in (
        ("/", 200),
        ("/load-balancer", 200),
        ("/load-balancer/", 200),
        ("/healthcheck", 204),
        ("/load-balancer/healthcheck", 204),
    ):
        assert client.request("GET", path, root="").status == status, path
        under = client.request("GET", path.removeprefix("/load-balancer"), root="", environ={"SCRIPT_NAME": "/lb"})
        assert under.status == status, path


def test_too_much_is_refused_before_anybody_is_asked_who_they_are(make: MakeHarness) -> None:
    answer = make(authenticator=Nobody()).client.request("POST", "/listeners", b" " * 114689)
    assert (answer.status, answer.headers["content-type"]) == (413, "text/plain")
    assert answer.headers["x-openstack-request-id"].startswith("req-")
