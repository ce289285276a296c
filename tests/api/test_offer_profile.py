"""Profiles of flavors and availability zones (contract 60, sections 3 and 5)."""

import json
from typing import Any
from uuid import UUID

import pytest

from livia.core.drivers import Network
from livia.drivers.network.noop import NoopNetworks
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness
from tests.api.offers import FLAVORS, NIL, SHELVES, ZONES, Shelf

each_shelf = pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: shelf.profile_item)
MANDATORY = "Value: 'None'. Mandatory field missing."
LONG = "Value should have a maximum character requirement of"


@each_shelf
def test_from_first_to_last_request(harness: Harness, shelf: Shelf) -> None:
    # Kept as it is spelt, white space and all.
    (name,) = shelf.good
    text = f'{{ "{name}":\n"{shelf.good[name]}" }}'
    created = shelf.profile(harness, **{shelf.data: text})
    expected = {"id": str(UUID(created["id"])), "name": "p", "provider_name": "amphora", shelf.data: text}
    assert created == expected
    path = f"{shelf.profile_path}/{created['id']}"
    assert harness.client.get(path).json == {shelf.profile_item: created}
    links: dict[str, Any] = {f"{shelf.profile_collection}_links": [], shelf.profile_links: []}
    assert harness.client.get(shelf.profile_path).json == {shelf.profile_collection: [created], **links}
    changes = {"name": "q", "provider_name": "octavia", shelf.data: "{}"}
    changed = harness.accepted(harness.client.put(path, {shelf.profile_item: changes}), 200)
    assert changed == {**created, **changes}
    assert harness.accepted(harness.client.put(path, {shelf.profile_item: {}}), 200) == changed
    assert shelf.profile(harness, name="q")["id"] != created["id"]
    assert harness.client.delete(path).status == 204
    for method, body in (("GET", None), ("PUT", {shelf.profile_item: {}}), ("DELETE", None)):
        harness.refused(method, path, body, 404, f"{shelf.profile_title} {created['id']} not found.")


@each_shelf
def test_refused_values(harness: Harness, shelf: Shelf) -> None:
    path = f"{shelf.profile_path}/{shelf.profile(harness)['id']}"
    rest = {"name": "q", "provider_name": "amphora", shelf.data: "{}"}
    wrong: list[tuple[str, Any, str]] = [
        *((name, None, MANDATORY) for name in rest),
        *((name, 7, "Value should be string") for name in rest),
        (shelf.data, {}, "Value should be string"),
        ("name", "x" * 256, f"{LONG} 255"),
        ("provider_name", "x" * 256, f"{LONG} 255"),
        (shelf.data, " " * 4097, f"{LONG} 4096"),
    ]
    for name, sent, reason in wrong:
        for method, where, others in (("POST", shelf.profile_path, rest), ("PUT", path, {})):
            text = f"Invalid input for field/attribute {name}."
            harness.refused(method, where, {shelf.profile_item: {**others, name: sent}}, 400, text, reason)
    for name in rest:
        body = {shelf.profile_item: {key: value for key, value in rest.items() if key != name}}
        harness.refused("POST", shelf.profile_path, body, 400, f"field/attribute {name}. {MANDATORY}")
    for name in ("id", "description", "project_id", "zz"):
        text = f"Unknown attribute for argument {shelf.profile_argument}.{shelf.profile_item}: {name}"
        harness.refused("POST", shelf.profile_path, {shelf.profile_item: {**rest, name: "x"}}, 400, text)
        harness.refused("PUT", path, {shelf.profile_item: {name: "x"}}, 400, text)
    harness.refused("POST", shelf.profile_path, b"", 400, f'Missing argument: "{shelf.profile_argument}"')
    assert shelf.profile(harness, **{shelf.data: "{}" + " " * 4094})[shelf.data] == "{}" + " " * 4094


NOT_ABLE = "Provider 'amphora' does not support a requested option: "
#: data that no kind of profile takes: status, fragments
REFUSED_DATA: list[tuple[str, int, str]] = [
    ("", 400, " is not a valid option for "),
    ("{", 400, "{ is not a valid option for "),
    ("{'a': 1}", 400, "{'a': 1} is not a valid option for "),
    ("NaN", 400, "NaN is not a valid option for "),
    ("[" * 4000, 400, " is not a valid option for "),
    ("[]", 501, f"{NOT_ABLE}The data must be a JSON object."),
    ('"x"', 501, f"{NOT_ABLE}The data must be a JSON object."),
    ("null", 501, f"{NOT_ABLE}The data must be a JSON object."),
    ('{"zz": 1}', 501, f"{NOT_ABLE}There is no option zz"),
]
#: the same of one kind
REFUSED_FLAVOR: list[tuple[dict[str, Any], str]] = [
    ({"loadbalancer_topology": "TRIPLE"}, "loadbalancer_topology must be one of SINGLE, ACTIVE_STANDBY."),
    ({"loadbalancer_topology": None}, "loadbalancer_topology must be a string."),
    ({"compute_flavor": 7}, "compute_flavor must be a string."),
    ({"amp_image_tag": []}, "amp_image_tag must be a string."),
    ({"sriov_vip": "true"}, "sriov_vip must be true or false."),
    ({"allow_member_sriov": 1}, "allow_member_sriov must be true or false."),
    ({"compute_zone": "nova"}, "There is no option compute_zone"),
]
REFUSED_ZONE: list[tuple[dict[str, Any], str]] = [
    ({"compute_zone": 1}, "compute_zone must be a string."),
    ({"volume_zone": True}, "volume_zone must be a string."),
    ({"management_network": {}}, "management_network must be a string."),
    ({"valid_vip_networks": UNKNOWN}, "valid_vip_networks must be a list of strings."),
    ({"valid_vip_networks": [1]}, "valid_vip_networks must be a list of strings."),
    ({"compute_flavor": "m1"}, "There is no option compute_flavor"),
]


@each_shelf
def test_refused_data(harness: Harness, shelf: Shelf) -> None:
    path = f"{shelf.profile_path}/{shelf.profile(harness)['id']}"
    own = REFUSED_FLAVOR if shelf is FLAVORS else REFUSED_ZONE
    for data, status, text in [*REFUSED_DATA, *((json.dumps(data), 501, NOT_ABLE + text) for data, text in own)]:
        body = {"name": "q", "provider_name": "amphora", shelf.data: data}
        fault = harness.refused("POST", shelf.profile_path, {shelf.profile_item: body}, status, text)
        assert status != 400 or fault == f"{data} is not a valid option for {shelf.data}"
        harness.refused("PUT", path, {shelf.profile_item: {shelf.data: data}}, status, text)


ACCEPTED_FLAVOR: list[dict[str, Any]] = [
    {},
    {"loadbalancer_topology": "SINGLE"},
    {"loadbalancer_topology": "ACTIVE_STANDBY", "compute_flavor": "m1", "amp_image_tag": "lb"},
    {"sriov_vip": True, "allow_member_sriov": False},
]
ACCEPTED_ZONE: list[dict[str, Any]] = [
    {},
    {"compute_zone": "nova", "volume_zone": "fast", "management_network": UNKNOWN},
    {"valid_vip_networks": []},
    {"valid_vip_networks": [UNKNOWN, NIL]},
]


def test_accepted_data(harness: Harness) -> None:
    for shelf, every in ((FLAVORS, ACCEPTED_FLAVOR), (ZONES, ACCEPTED_ZONE)):
        for data in every:
            assert json.loads(shelf.profile(harness, data)[shelf.data]) == data


class NoNetworks(NoopNetworks):
    """A network service without networks."""

    def network(self, network_id: str) -> Network | None:
        return None


@pytest.mark.parametrize("data", [{"management_network": UNKNOWN}, {"valid_vip_networks": [UNKNOWN]}])
def test_networks_that_are_not_there(make: MakeHarness, data: dict[str, Any]) -> None:
    body = {"name": "q", "provider_name": "amphora", ZONES.data: json.dumps(data)}
    text = f"Provider 'amphora' reports error: Network {UNKNOWN} not found."
    make(network=NoNetworks()).refused("POST", ZONES.profile_path, {ZONES.profile_item: body}, 500, text)


@each_shelf
def test_providers_of_profiles(make: MakeHarness, shelf: Shelf) -> None:
    harness = make(enabled_provider_drivers={"amphora": "", "acme": ""})
    path = f"{shelf.profile_path}/{shelf.profile(harness)['id']}"
    for provider, status, text in (
        ("nope", 400, "Provider 'nope' is not enabled."),
        ("acme", 501, "Provider 'acme' was not found."),
    ):
        body = {"name": "q", "provider_name": provider, shelf.data: "{}"}
        harness.refused("POST", shelf.profile_path, {shelf.profile_item: body}, status, text)
        # The data that is there is checked for the new provider.
        harness.refused("PUT", path, {shelf.profile_item: {"provider_name": provider}}, status, text)


@each_shelf
def test_a_profile_in_use(anywhere: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(anywhere)
    profile_id = offer[shelf.profile_id]
    path = f"{shelf.profile_path}/{profile_id}"
    text = f"{shelf.profile_title} {profile_id} is in use and cannot be modified."
    anywhere.refused("DELETE", path, None, 409, text)
    for changes in ({shelf.data: "{}"}, {"provider_name": "octavia"}, {"name": "q", shelf.data: "{}"}):
        anywhere.refused("PUT", path, {shelf.profile_item: changes}, 409, text)
    renamed = anywhere.accepted(anywhere.client.put(path, {shelf.profile_item: {"name": "q"}}), 200)
    assert renamed["name"] == "q"
    assert anywhere.client.delete(shelf.at(offer)).status == 204
    assert anywhere.client.put(path, {shelf.profile_item: {shelf.data: "{}"}}).status == 200
    assert anywhere.client.delete(path).status == 204


@each_shelf
def test_lists(harness: Harness, shelf: Shelf) -> None:
    rows = [("b", "amphora", "{}"), ("a", "octavia", "{}"), ("b", "octavia", "{ }")]
    made = [
        shelf.profile(harness, name=name, provider_name=provider, **{shelf.data: data}) for name, provider, data in rows
    ]
    ordered = sorted(made, key=lambda each: str(each["id"]))
    queries: list[tuple[str, list[dict[str, Any]]]] = [
        ("", ordered),
        (f"id={made[1]['id']}", [made[1]]),
        ("name=a", [made[1]]),
        ("provider_name=amphora", [made[0]]),
        (f"{shelf.data}=%7B%20%7D", [made[2]]),
        ("name=b&provider_name=octavia", [made[2]]),
        ("sort=provider_name,name", [made[0], made[1], made[2]]),
        (f"sort={shelf.data}:desc,name&limit=2", [made[1], made[0]]),
        (f"marker={ordered[1]['id']}", [ordered[2]]),
    ]
    for text, expected in queries:
        answer = harness.client.request("GET", shelf.profile_path, query=text)
        assert answer.json[shelf.profile_collection] == expected, text
    page = harness.client.get(shelf.profile_path, limit=1, fields="id").json
    assert page[shelf.profile_collection] == [{"id": ordered[0]["id"]}]
    assert page[shelf.profile_links] == page[f"{shelf.profile_collection}_links"] != []
    bad = "One or more arguments are either duplicate or invalid"
    for name in ("description", "enabled", "project_id"):
        harness.refused("GET", shelf.profile_path, None, 400, bad, query=f"{name}=x")
