"""Providers and their capabilities (contract 60, section 6)."""

from typing import Any

import pytest

from tests.api.conftest import MakeHarness
from tests.api.harness import Harness
from tests.api.test_lists import HeaderAuth
from tests.api.test_offer import Asked

AMPHORA = {"name": "amphora", "description": "The Octavia Amphora driver."}
OCTAVIA = {"name": "octavia", "description": "Deprecated alias of the Octavia Amphora driver."}
TOPOLOGY = (
    "The load balancer topology. One of: SINGLE - One amphora per load balancer. "
    "ACTIVE_STANDBY - Two amphora per load balancer."
)
FLAVOR_NAMES = ["loadbalancer_topology", "compute_flavor", "amp_image_tag", "sriov_vip", "allow_member_sriov"]
ZONE_NAMES = ["compute_zone", "volume_zone", "management_network", "valid_vip_networks"]
FLAVORS = "/providers/amphora/flavor_capabilities"
ZONES = "/providers/octavia/availability_zone_capabilities"


@pytest.mark.parametrize("query", ["", "name=octavia", "zz=1", "limit=1", "limit=x", "marker=x"])
def test_providers(harness: Harness, query: str) -> None:
    assert harness.client.request("GET", "/providers", query=query).json == {"providers": [AMPHORA, OCTAVIA]}


def test_fields(harness: Harness) -> None:
    assert harness.client.get("/providers", fields="name").json == {
        "providers": [{"name": "amphora"}, {"name": "octavia"}]
    }
    assert harness.client.get(ZONES, fields="name", name="volume_zone").json == {
        "availability_zone_capabilities": [{"name": "volume_zone"}]
    }


def test_providers_that_cannot_be_loaded_are_not_listed(make: MakeHarness) -> None:
    harness = make(enabled_provider_drivers={"acme": "Loads nothing.", "amphora": "Ours."})
    assert harness.client.get("/providers").json == {"providers": [{"name": "amphora", "description": "Ours."}]}
    for part in ("flavor_capabilities", "availability_zone_capabilities"):
        harness.refused("GET", f"/providers/acme/{part}", None, 501, "Provider 'acme' was not found.")
        harness.refused("GET", f"/providers/octavia/{part}", None, 400, "Provider 'octavia' is not enabled.")


def test_capabilities(harness: Harness) -> None:
    flavors = harness.client.get(FLAVORS).json
    zones = harness.client.get(ZONES).json
    assert [each["name"] for each in flavors["flavor_capabilities"]] == FLAVOR_NAMES
    assert [each["name"] for each in zones["availability_zone_capabilities"]] == ZONE_NAMES
    assert flavors["flavor_capabilities"][0] == {"name": "loadbalancer_topology", "description": TOPOLOGY}
    zone = {"name": "compute_zone", "description": "The compute availability zone."}
    assert zones["availability_zone_capabilities"][0] == zone
    assert len(flavors) == len(zones) == 1


def test_capabilities_of_a_noop_provider(make: MakeHarness) -> None:
    harness = make(enabled_provider_drivers={"noop_driver": "Does nothing."})
    for path, names in (("flavor_capabilities", ["amp_image_tag"]), ("availability_zone_capabilities", ZONE_NAMES[:2])):
        found = harness.client.get(f"/providers/noop_driver/{path}").json[path]
        assert [each["name"] for each in found] == names
    body = {"flavorprofile": {"name": "p", "provider_name": "noop_driver", "flavor_data": '{"compute_flavor": "m1"}'}}
    text = "Provider 'noop_driver' does not support a requested option: There is no option compute_flavor"
    harness.refused("POST", "/flavorprofiles", body, 501, text)


@pytest.mark.parametrize(
    "query, names",
    [
        ({"name": "sriov_vip"}, ["sriov_vip"]),
        ({"description": TOPOLOGY}, ["loadbalancer_topology"]),
        ({"name": "sriov_vip", "description": TOPOLOGY}, []),
        ({"name": "nope"}, []),
        ({"zz": "1", "limit": "1"}, FLAVOR_NAMES),
    ],
)
def test_filters_of_capabilities(harness: Harness, query: dict[str, str], names: list[str]) -> None:
    found = harness.client.get(FLAVORS, **query).json["flavor_capabilities"]
    assert [each["name"] for each in found] == names


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/providers/amphora"),
        ("GET", "/providers/amphora/zz"),
        ("POST", "/providers"),
        ("PUT", "/providers/amphora"),
        ("DELETE", "/providers/amphora"),
        ("POST", FLAVORS),
        ("DELETE", ZONES),
    ],
)
def test_methods_that_are_not_there(harness: Harness, method: str, path: str) -> None:
    answer = harness.client.request(method, path)
    assert answer.status == 405
    assert answer.json == {"code": 405, "title": "Method Not Allowed", "description": ""}


def test_policy(make: MakeHarness) -> None:
    policy = Asked()
    harness = make(authenticator=HeaderAuth(), policy=policy)
    calls: list[tuple[str, Any]] = [
        ("/providers", "provider"),
        (FLAVORS, "provider-flavor"),
        ("/providers/nope/flavor_capabilities", "provider-flavor"),
        (ZONES, "provider-availability-zone"),
    ]
    for path, word in calls:
        answer = harness.client.request("GET", path, headers={"X-Project-Id": "mine"})
        assert answer.status == 403, path
        assert policy.rules.pop() == (f"os_load-balancer_api:{word}:get_all", "mine")
