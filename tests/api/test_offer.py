"""Flavors and availability zones (contract 60, sections 2 and 4)."""

from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from sqlalchemy import select, update

from livia.services.context import Context
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness
from tests.api.offers import FLAVORS, NIL, SHELVES, ZONES, Shelf
from tests.api.test_lists import HeaderAuth

each_shelf = pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: shelf.item)


@each_shelf
def test_from_first_to_last_request(anywhere: Harness, shelf: Shelf) -> None:
    profile = shelf.profile(anywhere)["id"]
    created = shelf.offer(anywhere, **{shelf.profile_id: profile})
    expected = {"name": "o", "description": "", "enabled": True, shelf.profile_id: profile}
    if shelf.key == "id":
        expected["id"] = str(UUID(created["id"]))
    assert created == expected
    path = shelf.at(created)
    assert anywhere.client.get(path).json == {shelf.item: created}
    listed = anywhere.client.get(shelf.path).json
    assert listed == {shelf.collection: [created], f"{shelf.collection}_links": []}
    changed = anywhere.accepted(anywhere.client.put(path, {shelf.item: {"description": "d", "enabled": False}}), 200)
    assert changed == {**created, "description": "d", "enabled": False}
    assert anywhere.client.get(shelf.path).json[shelf.collection] == [changed]
    gone = anywhere.client.delete(path)
    assert (gone.status, gone.body) == (204, b"")
    for method, body in (("GET", None), ("PUT", {shelf.item: {}}), ("DELETE", None)):
        anywhere.refused(method, path, body, 404, f"{shelf.title} {created[shelf.key]} not found.")


#: attribute, what is sent, what is shown; on POST and, where PUT takes it, on PUT
ACCEPTED: list[tuple[str, Any, Any]] = [
    ("name", "x" * 255, "x" * 255),
    ("name", "\U0001f980 ünïcode", "\U0001f980 ünïcode"),
    ("description", "d" * 255, "d" * 255),
    ("description", None, ""),
    ("enabled", False, False),
    ("enabled", "yes", True),
    ("enabled", 0, False),
    ("enabled", "off", False),
]


@each_shelf
def test_accepted_values(harness: Harness, shelf: Shelf) -> None:
    profile = shelf.profile(harness)["id"]
    for number, (name, sent, shown) in enumerate(ACCEPTED):
        created = shelf.offer(harness, **{shelf.profile_id: profile, "name": f"o{number}", name: sent})
        assert created[name] == shown, (name, sent)
        assert harness.client.delete(shelf.at(created)).status == 204
        if name != shelf.key:
            other = shelf.offer(harness, **{shelf.profile_id: profile, "name": f"p{number}"})
            updated = harness.accepted(harness.client.put(shelf.at(other), {shelf.item: {name: sent}}), 200)
            assert updated == {**other, name: shown}, (name, sent)


BOOLEAN = "Value should be a boolean"
LONG = "Value should have a maximum character requirement of 255"
MANDATORY = "Value: 'None'. Mandatory field missing."
#: attribute, what is sent, the end of the fault string
WRONG: list[tuple[str, Any, str]] = [
    ("name", 7, "Value should be string"),
    ("name", [], "Value should be string"),
    ("name", "x" * 256, LONG),
    ("description", "x" * 256, LONG),
    ("description", {}, "Value should be string"),
    ("enabled", "False", BOOLEAN),
    ("enabled", [], BOOLEAN),
    ("enabled", 1.5, BOOLEAN),
    ("enabled", None, MANDATORY),
]


@each_shelf
def test_refused_values(harness: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(harness)
    rest = {"name": "q", shelf.profile_id: offer[shelf.profile_id]}
    only_created: list[tuple[str, Any, str]] = [
        ("name", None, MANDATORY),
        (shelf.profile_id, None, MANDATORY),
        (shelf.profile_id, "x", "Value should be UUID format"),
    ]
    for name, sent, reason in [*WRONG, *only_created]:
        text = f"Invalid input for field/attribute {name}."
        harness.refused("POST", shelf.path, {shelf.item: {**rest, name: sent}}, 400, text, reason)
    for name, sent, reason in WRONG:
        if name != shelf.key:
            harness.refused("PUT", shelf.at(offer), {shelf.item: {name: sent}}, 400, reason)
    for missing in rest:
        body = {shelf.item: {name: value for name, value in rest.items() if name != missing}}
        harness.refused("POST", shelf.path, body, 400, f"field/attribute {missing}. {MANDATORY}")


@each_shelf
def test_attributes_that_are_not_there(harness: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(harness)
    argument = f"Unknown attribute for argument {shelf.argument}.{shelf.item}: "
    for name in ("id", "project_id", "tags", "created_at", "provisioning_status", "zz"):
        rest = {"name": "q", shelf.profile_id: offer[shelf.profile_id]}
        harness.refused("POST", shelf.path, {shelf.item: {**rest, name: "x"}}, 400, argument + name)
        harness.refused("PUT", shelf.at(offer), {shelf.item: {name: "x"}}, 400, argument + name)
    fixed = {shelf.profile_id, "name"} if shelf is ZONES else {shelf.profile_id}
    for name in fixed:
        harness.refused("PUT", shelf.at(offer), {shelf.item: {name: offer[name]}}, 400, argument + name)


@each_shelf
def test_refused_requests(harness: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(harness)
    path, taken = shelf.at(offer), {"name": "o", shelf.profile_id: offer[shelf.profile_id]}
    harness.refused("POST", shelf.path, b"", 400, f'Missing argument: "{shelf.argument}"')
    harness.refused("PUT", path, b"", 400, f'Missing argument: "{shelf.argument}"')
    harness.refused("POST", shelf.path, {shelf.item: taken}, 409, f"A {shelf.kind} of o already exists.")
    unknown = {"name": "q", shelf.profile_id: UNKNOWN}
    for profile_id in (UNKNOWN, NIL):
        body = {shelf.item: {**unknown, shelf.profile_id: profile_id}}
        harness.refused("POST", shelf.path, body, 400, f"Validation failure: Invalid {shelf.profile_id}.")
    for key in (UNKNOWN, NIL, "garbage", "%00"):
        for method, sent in (("GET", None), ("PUT", {shelf.item: {}}), ("DELETE", None)):
            harness.refused(method, f"{shelf.path}/{key}", sent, 404, f"{shelf.title} ", " not found.")
    for method in ("PUT", "DELETE"):
        harness.refused(method, shelf.path, {shelf.item: {}}, 400, f'Missing argument: "{shelf.key}"')
    harness.refused("POST", path, {shelf.item: {}}, 400, "Unknown argument")


def test_renaming_a_flavor(harness: Harness) -> None:
    first = FLAVORS.offer(harness)
    second = FLAVORS.offer(harness, name="second")
    body = {"flavor": {"name": "o"}}
    harness.refused("PUT", FLAVORS.at(second), body, 409, "A flavor of o already exists.")
    assert harness.client.put(FLAVORS.at(first), body).status == 200
    nameless = harness.accepted(harness.client.put(FLAVORS.at(first), {"flavor": {"name": None}}), 200)
    assert nameless["name"] == ""
    assert harness.client.put(FLAVORS.at(second), body).status == 200


def test_names_of_zones_make_a_path(harness: Harness) -> None:
    profile = ZONES.profile(harness)["id"]
    for name in ("", "a/b", "nova.json", ".json"):
        body = {"availability_zone": {"name": name, ZONES.profile_id: profile}}
        harness.refused("POST", ZONES.path, body, 400, "Invalid input for field/attribute name.")
    named = {"availability_zone": {"name": NIL, ZONES.profile_id: profile}}
    harness.refused("POST", ZONES.path, named, 409, f"A availability zone of {NIL} already exists.")
    for name in ("nova a?b%c é", "nova.json5", "x.json x", "two\nlines", "\n"):
        zone = ZONES.offer(harness, name=name, availability_zone_profile_id=profile)
        path = f"/availabilityzones/{quote(name)}"
        assert harness.client.get(path).json == {"availability_zone": zone}, path
        assert harness.client.delete(path).status == 204, path


@each_shelf
def test_lists(harness: Harness, shelf: Shelf) -> None:
    profiles = [shelf.profile(harness)["id"] for _ in range(2)]
    rows = [("c", True, 0, "x"), ("a", False, 1, "x"), ("b", True, 1, "y")]
    made = [
        shelf.offer(harness, name=name, enabled=enabled, description=text, **{shelf.profile_id: profiles[which]})
        for name, enabled, which, text in rows
    ]
    ordered = sorted(made, key=lambda each: str(each[shelf.key]))
    by_name = sorted(made, key=lambda each: str(each["name"]))
    queries: list[tuple[str, list[dict[str, Any]]]] = [
        ("", ordered),
        ("tags=a&not-tags=b", ordered),
        ("name=a", [made[1]]),
        (f"{shelf.profile_id}={profiles[0]}", [made[0]]),
        ("description=y", [made[2]]),
        ("enabled=False", [made[1]]),
        ("enabled=true", [each for each in ordered if each["enabled"]]),
        (f"enabled=junk&{shelf.profile_id}={profiles[1]}", [made[1]]),
        ("name=nope", []),
        ("sort=name", by_name),
        ("sort=name:desc", by_name[::-1]),
        ("sort=description,name:desc", [made[0], made[1], made[2]]),
        ("sort_key=enabled&sort_dir=asc&limit=1", [made[1]]),
        (f"limit=1&marker={ordered[0][shelf.key]}", [ordered[1]]),
        (f"limit=1&marker={ordered[2][shelf.key]}&page_reverse=True", [ordered[1]]),
    ]
    if shelf.key == "id":
        queries.append((f"id={made[1]['id']}", [made[1]]))
    for text, expected in queries:
        answer = harness.client.request("GET", shelf.path, query=text)
        assert answer.json[shelf.collection] == expected, text
    first = harness.client.request("GET", shelf.path, query="limit=2&fields=name").json
    assert first[shelf.collection] == [{"name": each["name"]} for each in ordered[:2]]
    (link,) = first[f"{shelf.collection}_links"]
    assert link["href"].startswith(f"http://lb.example.net:9876/v2/lbaas{shelf.path}?")
    second = harness.client.request("GET", link["href"].removeprefix("http://lb.example.net:9876/v2/lbaas"))
    assert second.json[shelf.collection] == [{"name": ordered[2]["name"]}]
    assert harness.client.get(shelf.at(made[0]), fields="name").json == {shelf.item: {"name": "c"}}


@each_shelf
def test_questions_that_no_list_answers(harness: Harness, shelf: Shelf) -> None:
    for name in ("zz", "project_id", "created_at", *(["id"] if shelf is ZONES else [])):
        bad = "One or more arguments are either duplicate or invalid"
        harness.refused("GET", shelf.path, None, 400, bad, query=f"{name}=x")
    harness.refused("GET", shelf.path, None, 400, "Supplied sort key 'created_at'", query="sort=created_at")
    harness.refused("GET", shelf.path, None, 400, "Supplied pagination marker 'x'", query="marker=x")


@each_shelf
def test_an_offer_in_use(harness: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(harness)
    path = shelf.at(offer)
    load_balancer = harness.load_balancer(**{shelf.chosen: offer[shelf.key]})
    text = f"{shelf.title} {offer[shelf.key]} is in use and cannot be modified."
    for status in ("ACTIVE", "ERROR", "PENDING_DELETE"):
        harness.set_status("load_balancer", load_balancer["id"], status)
        harness.refused("DELETE", path, None, 409, text)
    changes = {"enabled": False, "description": "old"}
    assert harness.accepted(harness.client.put(path, {shelf.item: changes}), 200) == {**offer, **changes}
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, shelf.chosen: offer[shelf.key]}}
    harness.refused("POST", "/loadbalancers", body, 400, "is not allowed in this deployment:")


@each_shelf
def test_an_offer_that_only_deleted_load_balancers_have(anywhere: Harness, shelf: Shelf) -> None:
    for name in ("first", "second"):
        offer = shelf.offer(anywhere, name=name)
        deleted = anywhere.load_balancer(**{shelf.chosen: offer[shelf.key]})["id"]
        anywhere.set_status("load_balancer", deleted, "DELETED")
        assert anywhere.client.delete(shelf.at(offer)).status == 204
        with anywhere.database.read() as connection:
            column = t.load_balancer.c[shelf.chosen]
            refers = connection.execute(select(column).where(t.load_balancer.c.id == deleted)).scalar_one()
        assert refers == NIL
    # What holds their place is hidden everywhere.
    assert anywhere.client.get(shelf.path).json[shelf.collection] == []
    assert NIL not in anywhere.client.get(shelf.profile_path).body.decode()
    for path in (f"{shelf.path}/{NIL}", f"{shelf.profile_path}/{NIL}"):
        for method, body in (("GET", None), ("DELETE", None)):
            anywhere.refused(method, path, body, 404, f"{NIL} not found.")
    refused = anywhere.client.post("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET, shelf.chosen: NIL}})
    assert refused.fault.startswith("Validation failure: Invalid ")


@each_shelf
def test_a_missing_description_is_empty(harness: Harness, shelf: Shelf) -> None:
    offer = shelf.offer(harness)
    with harness.database.write() as connection:
        connection.execute(update(t.metadata.tables[shelf.item]).values(description=None))
    assert harness.client.get(shelf.at(offer)).json == {shelf.item: offer}


class Asked:
    """A policy that notes what it was asked, and refuses everything."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, str | None]] = []

    def allows(self, context: Context, rule: str, project_id: str | None) -> bool:
        self.rules.append((rule, project_id))
        return False


@each_shelf
def test_policy_is_asked_first_about_the_callers_project(make: MakeHarness, shelf: Shelf) -> None:
    offer = shelf.offer(make())
    policy = Asked()
    harness = make(authenticator=HeaderAuth(), policy=policy)
    profile = f"{shelf.profile_path}/{UNKNOWN}"
    body = {"name": "q", shelf.profile_id: offer[shelf.profile_id]}
    profile_body = {"name": "q", "provider_name": "amphora", shelf.data: "{}"}
    calls: list[tuple[str, str, Any, str]] = [
        ("GET", shelf.path, None, "get_all"),
        ("POST", shelf.path, {shelf.item: body}, "post"),
        ("GET", f"{shelf.path}/{UNKNOWN}", None, "get_one"),
        ("PUT", f"{shelf.path}/{UNKNOWN}", {shelf.item: {}}, "put"),
        ("DELETE", f"{shelf.path}/{UNKNOWN}", None, "delete"),
        ("GET", shelf.profile_path, None, "get_all"),
        ("POST", shelf.profile_path, {shelf.profile_item: profile_body}, "post"),
        ("GET", profile, None, "get_one"),
        ("PUT", profile, {shelf.profile_item: {}}, "put"),
        ("DELETE", profile, None, "delete"),
    ]
    before = harness.rows()
    for method, path, sent, action in calls:
        answer = harness.client.request(method, path, sent, headers={"X-Project-Id": "mine"})
        assert (answer.status, answer.fault) == (403, "Policy does not allow this request to be performed."), path
        word = {"flavor": "flavor", "availability_zone": "availability-zone"}[shelf.item]
        word += "-profile" if path.startswith(shelf.profile_path) else ""
        assert policy.rules.pop() == (f"os_load-balancer_api:{word}:{action}", "mine")
        assert policy.rules == []
    assert harness.rows() == before
