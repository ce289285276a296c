"""The OpenAPI document: that it is one, that it names every route, and that it says what responses show."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import falcon.inspect
import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from livia.api import reference
from livia.api.middleware import canonical
from livia.api.openapi import document
from livia.api.operations import SUBJECTS
from livia.api.wire.operation import LBAAS
from livia.api.wire.schemas import component
from livia.api.writes import Router
from livia.services.settings import ApiSettings
from tests.api.conftest import MakeHarness
from tests.api.everything import Everything
from tests.api.harness import UNKNOWN, Harness, Tree
from tests.api.writes import writes

# Ours is a compiled router, too.
falcon.inspect.register_router(Router)(falcon.inspect.inspect_compiled_router)
OPERATIONS = [each for subject in SUBJECTS for each in subject.operations]


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(ApiSettings())


def _everything(node: Any) -> Iterator[Any]:
    yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _everything(each)


def test_it_is_served_to_everybody_and_made_once(harness: Harness, described: dict[str, Any]) -> None:
    for path in ("/openapi.json", "/load-balancer/openapi.json"):
        answer = harness.client.request("GET", path, root="", headers={"Accept": "text/html"})
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        servers = [{"url": f"http://lb.example.net:9876{path.removesuffix('/openapi.json')}"}]
        assert answer.json == {"servers": servers, **described}


def test_it_conforms_to_the_meta_schema(described: dict[str, Any]) -> None:
    OPENAPI_31_VALIDATOR.validate(described)
    for name, schema in described["components"]["schemas"].items():
        jsonschema_rs.Draft202012Validator({**schema, "components": described["components"]})
        assert schema, name


def test_references_lead_somewhere_and_every_schema_is_used(described: dict[str, Any]) -> None:
    found = {node["$ref"] for node in _everything(described) if isinstance(node, dict) and "$ref" in node}
    for each in found:
        node = described
        for part in each.removeprefix("#/").split("/"):
            node = node[part]
    named = {
        f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in described["components"][kind]
    }
    assert named - found == set()


def test_operations_have_unique_names() -> None:
    names = [each.name for each in OPERATIONS]
    assert sorted(set(names)) == sorted(names)


def test_every_attribute_says_what_it_is(described: dict[str, Any]) -> None:
    for name, schema in described["components"]["schemas"].items():
        for attribute, value in schema.get("properties", {}).items():
            if "x-since" in value:
                assert re.fullmatch(r"[A-Z].*\.", value["description"]), (name, attribute)


def _routed(harness: Harness) -> set[tuple[str, str]]:
    """Methods and paths of the application's router; what paths call their parts does not matter."""
    found = set()
    for route in falcon.inspect.inspect_routes(harness.app):
        found |= {(each.method, _nameless(route.path)) for each in route.methods if not each.internal}
    return found


def _nameless(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


def test_every_route_is_described_or_refuses(harness: Harness) -> None:
    """What is routed and not described is there to say why it cannot be done (contract 00, section 1)."""
    rows = {(each.method, _nameless(canonical(each.path, ""))) for each in OPERATIONS}
    routed = _routed(harness)
    assert rows - routed == set()
    for method, path in sorted(routed - rows):
        # Routes begin without the version that addresses have.
        root = "/v2" if path.startswith(("/lbaas", "/octavia")) else ""
        answer = harness.client.request(method, path.replace("{}", UNKNOWN), root=root)
        refusal = answer.status == 400 and re.match(r'Missing argument: "\w+"$|Unknown argument: ', answer.fault)
        assert refusal or (answer.status in (404, 405) and path == "/healthcheck"), (method, path, answer)


def test_lists_know_the_filters_that_are_described(harness: Harness, tree: Tree, described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        parameters = methods["get"].get("parameters", []) if "get" in methods else []
        query = {each["name"]: "1" for each in parameters if each["name"] not in ("marker", "sort", "sort_key")}
        filled = path.replace("{pool_id}", tree.pool).replace("{loadbalancer_id}", tree.load_balancer)
        filled = filled.replace("{l7policy_id}", tree.policy)
        if "limit" in query:
            answer = harness.client.request("GET", filled, root="", query={**query, "sort_dir": "asc"})
            assert answer.status == 200, (path, answer)
            for key in next(each for each in parameters if each["name"] == "sort_key")["schema"]["items"]["enum"]:
                answer = harness.client.request("GET", filled, root="", query={"sort": key})
                assert answer.status == 200, (path, key, answer)


def test_answers_have_every_attribute_unless_fields_are_chosen(harness: Harness, described: dict[str, Any]) -> None:
    """The document lets `fields` leave some out; here nobody asks for that."""
    ids = Everything(harness).ids((), fresh=False)
    components = {"components": described["components"]}
    for resource, operations in [(each.resource, each.operations) for each in SUBJECTS]:
        for row in operations:
            if resource is None or row.method != "GET" or not row.path.endswith("}"):
                continue
            path = row.path.format_map({"project_id": "any", **ids})
            (shown,) = harness.client.request("GET", path, root="").json.values()
            whole = described["components"]["schemas"][component(resource)]
            jsonschema_rs.Draft202012Validator({**whole, **components}).validate(shown)


def test_bodies_that_are_accepted_are_as_described(harness: Harness, tree: Tree, described: dict[str, Any]) -> None:
    takes = {(each.method, _nameless(each.path)): each.takes for each in OPERATIONS}
    components = {"components": described["components"]}
    for write in writes(harness, tree):
        path = write.path if write.path.startswith("/v2/") else f"{LBAAS}{write.path}"
        (schema,) = (
            schema
            for (method, template), schema in takes.items()
            if method == write.method and re.fullmatch(template.replace("{}", "[^/]+"), path)
        )
        assert (schema is None) == (write.body is None), write
        if schema is not None:
            jsonschema_rs.Draft202012Validator({**schema, **components}).validate(write.body)


def test_the_reference_page_is_up_to_date() -> None:
    """Otherwise: python -m livia.api.reference > docs/api-reference.md"""
    assert (Path(__file__).parents[2] / "docs/api-reference.md").read_text() == reference.page()


def test_defaults_are_those_of_the_deployment(make: MakeHarness) -> None:
    harness = make(timeout_client_data=1234)
    listener = harness.client.request("GET", "/openapi.json", root="").json["components"]["schemas"]["ListenerCreate"]
    assert listener["properties"]["timeout_client_data"]["default"] == 1234
