"""The network catalogue by which the standard client resolves names where there is no network service."""

import pytest

from livia.api.auth import Testing
from livia.api.policy_files import FilePolicy
from livia.core.clock import SystemClock
from livia.drivers.network.local import LocalNetworks
from livia.services.settings import PolicySettings
from tests.api.client import Client
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness
from tests.api.personas import OTHER, OWN, PERSONAS


@pytest.fixture
def local(make: MakeHarness) -> Harness:
    """The application on two local networks."""
    harness = make()
    networks = LocalNetworks(harness.database, SystemClock())
    networks.create("private", "10.77.0.0/24")
    networks.create("other", "10.78.0.0/24")
    return make(network=networks)


@pytest.mark.parametrize("root", ["/v2", "/v2.0"])
@pytest.mark.parametrize("collection", ["networks", "subnets"])
def test_names_and_ids(local: Harness, root: str, collection: str) -> None:
    answer = local.client.request("GET", f"/{collection}?name=private", root=root).json
    (found,) = answer[collection]
    assert found["name"] == "private"
    shown = local.client.request("GET", f"/{collection}/{found['id']}", root=root).json
    assert shown == {collection[:-1]: found}
    by_id = local.client.request("GET", f"/{collection}?id={found['id']}&fields=id", root=root).json
    assert by_id == {collection: [{"id": found["id"]}]}
    assert len(local.client.request("GET", f"/{collection}", root=root).json[collection]) == 2
    assert local.client.request("GET", f"/{collection}/{UNKNOWN}", root=root).status == 404


def test_ports_of_vips(local: Harness) -> None:
    subnet = local.client.request("GET", "/v2/subnets?name=private", root="").json["subnets"][0]
    created = local.load_balancer(vip_subnet_id=subnet["id"])
    (port,) = local.client.request("GET", f"/v2/ports?id={created['vip_port_id']}", root="").json["ports"]
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": created["vip_address"]}]
    assert port["name"] == f"octavia-lb-{created['id']}"


@pytest.mark.parametrize("path, key", [("/v2/qos/policies", "policies"), ("/v2.0/security-groups", "security_groups")])
def test_what_local_networks_do_not_have(local: Harness, path: str, key: str) -> None:
    assert local.client.request("GET", path + "?name=x", root="").json == {key: []}


def test_addresses_of_local_networks(local: Harness) -> None:
    subnet = local.client.request("GET", "/v2/subnets?name=private", root="").json["subnets"][0]["id"]
    local.load_balancer(vip_subnet_id=subnet, vip_address="10.77.0.50")
    for address, status, text in (
        ("10.77.0.50", 409, "The VIP IP address is already in use: 10.77.0.50"),
        ("10.99.0.1", 400, "10.99.0.1"),
        ("10.77.0.1", 400, "10.77.0.1"),
    ):
        body = {"loadbalancer": {"vip_subnet_id": subnet, "vip_address": address}}
        local.refused("POST", "/loadbalancers", body, status, text)


def test_ports_are_shown_to_their_project(local: Harness) -> None:
    subnet = local.client.request("GET", "/v2/subnets?name=private", root="").json["subnets"][0]
    ports = {
        project: local.load_balancer(vip_subnet_id=subnet["id"], project_id=project)["vip_port_id"]
        for project in (OWN, OTHER)
    }
    policy = FilePolicy(PolicySettings(), (), SystemClock())
    app = Harness(local.database, network=local.deps.network, authenticator=Testing(), policy=policy).app
    for persona, status, seen in (
        ("admin", 200, {OWN, OTHER}),
        ("reader", 200, {OWN}),
        ("member of another project", 200, {OTHER}),
        ("no role", 403, set()),
        ("no project", 403, set()),
    ):
        client = Client(app, root="/v2", headers=PERSONAS[persona].headers)
        answer = client.get("/ports")
        assert answer.status == status, persona
        if status == 200:
            assert {port["id"] for port in answer.json["ports"]} == {ports[project] for project in seen}, persona
            assert len(client.get("/networks").json["networks"]) == 2, persona
        for project, port in ports.items():
            expected = status if status != 200 or project in seen else 404
            assert client.get(f"/ports/{port}").status == expected, (persona, project)


def test_no_catalogue_without_local_networks(harness: Harness) -> None:
    assert harness.client.request("GET", "/v2/networks", root="").status == 404
