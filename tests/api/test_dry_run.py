"""`?dry_run=true`: the answer of a write without the write (docs/extensions.md)."""

import re
from typing import Any

import pytest

from livia.api.operations import SUBJECTS
from livia.core.clock import SystemClock
from livia.core.drivers import DriverError, Port
from livia.drivers.network.local import LocalNetworks
from livia.store.engine import Database
from tests.api.client import Answer
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree
from tests.api.networks import NET, V4, ListedNetworks
from tests.api.writes import Write, writes

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def _send(harness: Harness, write: Write, more: str = "") -> Answer:
    query = "&".join(part for part in (write.query, more) if part)
    return harness.client.request(write.method, write.path, write.body, query=query)


def _without_what_is_made(answer: Answer) -> tuple[int, dict[str, str], str]:
    """Ids of new objects and times differ from one request to the next."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-openstack-request-id"}
    return answer.status, headers, _TIME.sub("TIME", _ID.sub("ID", answer.body.decode()))


def test_every_write_is_answered_and_not_done(anywhere: Harness) -> None:
    tree = anywhere.tree()
    for write in writes(anywhere, tree):
        anywhere.wake.keys.clear()
        before = anywhere.rows()
        rehearsed = _send(anywhere, write, "dry_run=true")
        assert anywhere.rows() == before, write
        assert anywhere.wake.keys == [], write
        real = _send(anywhere, write, "dry_run=false")
        assert real.status == write.status, (write, real.body)
        assert _without_what_is_made(rehearsed) == _without_what_is_made(real), write
        assert anywhere.rows() != before, write
        assert (anywhere.wake.keys != []) is write.wakes, write
        anywhere.confirm(tree.load_balancer)


def test_no_write_was_forgotten(harness: Harness, tree: Tree) -> None:
    """Every described write is in the table that these tests, and those of tags and keys, are made of."""
    tried = writes(harness, tree)
    for operation in (
        each for subject in SUBJECTS for each in subject.operations if each.method not in ("GET", "HEAD")
    ):
        path = re.compile(re.sub(r"{\w+}", "[^/]+", operation.path.removeprefix("/v2/lbaas")))
        found = [each for each in tried if each.method == operation.method and path.fullmatch(each.path)]
        assert found, operation.name


REFUSED: list[tuple[str, str, Any, int]] = [
    ("POST", "/listeners", {"listener": {"protocol": "HTTP"}}, 400),
    ("POST", "/listeners", {"listener": {"loadbalancer_id": UNKNOWN, "protocol": "HTTP", "protocol_port": 1}}, 404),
    ("POST", "{member}", {"member": {"address": "10.0.0.21", "protocol_port": 80}}, 409),
    ("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET, "provider": "other"}}, 400),
    ("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}, 403),
    ("PUT", f"/pools/{UNKNOWN}", {"pool": {}}, 404),
    ("DELETE", "{loadbalancer}", None, 400),
    ("DELETE", f"/members/{UNKNOWN}", None, 404),
]


def test_what_is_refused_is_refused(make: MakeHarness) -> None:
    """Validation, missing objects, conflicts and quotas: as in the real request."""
    tree = make().tree()
    harness = make(default_load_balancer_quota=1)
    for method, path, body, status in REFUSED:
        path = path.format(member=tree.collections["member"], loadbalancer=tree.paths["loadbalancer"])
        before = harness.rows()
        answers = [harness.client.request(method, path, body, query=query) for query in ("dry_run=true", "")]
        assert [answer.status for answer in answers] == [status, status], (method, path, answers)
        assert answers[0].json == answers[1].json
        assert harness.rows() == before


def test_what_the_data_plane_cannot_do(harness: Harness, tree: Tree) -> None:
    beyond = {**tree.minimal("pool"), "protocol": "UDP", "tls_enabled": True}
    answers = [harness.client.post("/pools", {"pool": beyond}, **query) for query in ({"dry_run": "true"}, {})]
    assert [answer.status for answer in answers] == [501, 501]
    assert answers[0].json == answers[1].json


def test_no_port_is_made_at_a_network_service(make: MakeHarness) -> None:
    networks = ListedNetworks()
    harness = make(network=networks)
    body = {"loadbalancer": {"vip_network_id": NET, "vip_subnet_id": V4, "vip_address": "10.1.0.77"}}
    shown = harness.accepted(harness.client.post("/loadbalancers", body, dry_run="true"))
    assert (shown["vip_address"], networks.made, networks.deleted) == ("10.1.0.77", [], [])
    taken = {"loadbalancer": {"vip_subnet_id": V4, "vip_address": "10.1.0.99"}}
    harness.refused("POST", "/loadbalancers", taken, 409, "already in use", query="dry_run=true")
    assert harness.accepted(harness.client.post("/loadbalancers", body))["vip_port_id"] in networks.made


def test_no_address_of_a_local_network_is_taken(database: Database, make: MakeHarness) -> None:
    networks = LocalNetworks(database, SystemClock())
    (subnet_id,) = networks.create("lan", "10.9.0.0/24").subnet_ids
    harness = make(network=networks)
    body = {"loadbalancer": {"vip_subnet_id": subnet_id}}
    before = harness.rows()
    rehearsed = [harness.accepted(harness.client.post("/loadbalancers", body, dry_run="1")) for _ in range(2)]
    assert harness.rows() == before
    real = harness.load_balancer(vip_subnet_id=subnet_id)
    assert {each["vip_address"] for each in (*rehearsed, real)} == {"10.9.0.2"}
    taken = {"loadbalancer": {"vip_subnet_id": subnet_id, "vip_address": "10.9.0.2"}}
    harness.refused("POST", "/loadbalancers", taken, 409, "already in use", query="dry_run=true")


class _NoPorts(ListedNetworks):
    """A network service that has no port left."""

    def preview_vip_port(
        self, load_balancer_id: str, project_id: str, network_id: str, fixed_ips: tuple[tuple[str, str | None], ...]
    ) -> Port:
        raise DriverError("Quota exceeded for resources: ['port'].", status=409)


def test_the_network_services_refusal_is_passed_on(make: MakeHarness) -> None:
    harness = make(network=_NoPorts())
    body = {"loadbalancer": {"vip_subnet_id": V4}}
    for query in ("dry_run=true", ""):
        harness.refused("POST", "/loadbalancers", body, 409, "Quota exceeded", query=query)


@pytest.mark.parametrize("value", ["", "ture", "2", "None"])
def test_a_value_that_is_not_clear_about_it(harness: Harness, tree: Tree, value: str) -> None:
    """It is not taken for false: nothing is done."""
    for path in (tree.paths["listener"], f"{tree.paths['loadbalancer']}/failover"):
        harness.refused(
            "PUT", path, {"listener": {}}, 400, "Invalid input for field/attribute dry_run.", query=f"dry_run={value}"
        )


def test_spellings(harness: Harness, tree: Tree) -> None:
    before = harness.rows()
    for query in ("dry_run=True", "dry%5Frun=yes", "dry_run=1", "dry_run=false&dry_run=on"):
        assert harness.client.request("DELETE", tree.paths["member"], query=query).status == 204
        assert harness.rows() == before, query
    harness.refused("DELETE", tree.paths["member"], None, 400, 'Unknown argument: "zz"', query="dry_run=true&zz=1")
    assert harness.client.get(tree.paths["member"], dry_run="true").status == 200
    assert harness.client.request("DELETE", tree.paths["member"], query="dry_run=no").status == 204
    assert harness.rows() != before
