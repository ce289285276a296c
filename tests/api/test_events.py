"""Events of a load balancer: what happened and why (docs/extensions.md)."""

from collections.abc import Callable
from typing import Any

from livia.core.model.event import Event, Severity
from livia.store import events
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree
from tests.api.test_lists import HeaderAuth, OwnerPolicy
from tests.database import NOW


def _path(tree: Tree) -> str:
    return f"{tree.paths['loadbalancer']}/events"


def _codes(harness: Harness, tree: Tree, **query: Any) -> list[str]:
    answer = harness.client.get(_path(tree), **query)
    assert answer.status == 200, answer.body
    return [each["code"] for each in answer.json["events"]]


def test_what_an_event_says(anywhere: Harness) -> None:
    tree = anywhere.tree()
    deleted = anywhere.client.delete(tree.paths["member"])
    answer = anywhere.client.get(_path(tree)).json
    assert answer["events_links"] == []
    last = answer["events"][-1]
    assert last | {"id": "", "created_at": "", "message": ""} == {
        "id": "",
        "created_at": "",
        "object_type": "member",
        "object_id": tree.member,
        "severity": "INFO",
        "code": "member.delete",
        "message": "",
        "request_id": deleted.headers["x-openstack-request-id"],
    }
    assert isinstance(last["id"], str)
    assert last["created_at"][10] == "T"
    assert last["message"].endswith(".")
    assert [int(each["id"]) for each in answer["events"]] == sorted(int(each["id"]) for each in answer["events"])


FILTERS: list[tuple[Callable[[Tree], dict[str, str]], list[str]]] = [
    (lambda tree: {"object_type": "pool"}, ["pool.create"]),
    (lambda tree: {"object_id": tree.member}, ["member.create"]),
    (lambda tree: {"code": "listener.create"}, ["listener.create"]),
    (lambda tree: {"severity": "ERROR"}, ["load_balancer.failed"]),
    (lambda tree: {"severity": "INFO", "object_type": "load_balancer"}, ["load_balancer.create"]),
    (lambda tree: {"request_id": "req-x"}, ["load_balancer.failed"]),
    (lambda tree: {"object_type": "unknown"}, []),
]


def test_filters_order_and_fields(anywhere: Harness) -> None:
    tree, other = anywhere.tree(), anywhere.tree()
    failed = Event(
        load_balancer_id=tree.load_balancer,
        object_type="load_balancer",
        object_id=tree.load_balancer,
        severity=Severity.ERROR,
        code="load_balancer.failed",
        message="No host has room.",
        request_id="req-x",
    )
    anywhere.database.transaction(lambda connection: events.add(connection, failed, NOW))
    codes = _codes(anywhere, tree)
    assert codes[0] == "load_balancer.create"
    assert codes[-1] == "load_balancer.failed"
    assert _codes(anywhere, tree, sort="id:desc") == codes[::-1]
    for query, found in FILTERS:
        assert _codes(anywhere, tree, **query(tree)) == found, found
    assert _codes(anywhere, other, object_id=tree.member) == []
    assert _codes(anywhere, tree, sort="created_at")[0] == "load_balancer.failed"
    assert _codes(anywhere, tree, sort="severity,object_type:asc", limit=1) == ["load_balancer.failed"]
    shown = anywhere.client.get(_path(tree), fields=["code", "severity"], limit=1).json["events"]
    assert shown == [{"code": "load_balancer.create", "severity": "INFO"}]


def test_pages(anywhere: Harness) -> None:
    tree = anywhere.tree()
    seen, path = [], f"{_path(tree)}?limit=2"
    root = "http://lb.example.net:9876/v2/lbaas"
    while path:
        answer = anywhere.client.get(path).json
        assert len(answer["events"]) <= 2
        seen += [each["code"] for each in answer["events"]]
        path = next((each["href"].removeprefix(root) for each in answer["events_links"] if each["rel"] == "next"), "")
    codes = _codes(anywhere, tree)
    assert len(codes) >= 5
    assert seen == codes
    last = anywhere.client.get(_path(tree)).json["events"][-1]["id"]
    assert _codes(anywhere, tree, marker=last, page_reverse="True", limit=2) == codes[-3:-1]


REFUSED = [
    ("marker=x", "Supplied pagination marker 'x' is not valid."),
    ("marker=-1", "Supplied pagination marker '-1' is not valid."),
    ("marker=999999999999999999", "Supplied pagination marker '999999999999999999' is not valid."),
    (f"marker={'9' * 40}", "is not valid."),
    (f"marker={UNKNOWN}", "is not valid."),
    ("limit=x", "Supplied pagination limit 'x' is not valid."),
    ("sort=message", "Supplied sort key 'message' is not valid."),
    ("load_balancer_id=x", "One or more arguments are either duplicate or invalid"),
    ("message=x", "One or more arguments are either duplicate or invalid"),
    ("zz=1", "One or more arguments are either duplicate or invalid"),
]


def test_questions_that_are_refused(anywhere: Harness) -> None:
    tree = anywhere.tree()
    for query, text in REFUSED:
        anywhere.refused("GET", _path(tree), None, 400, text, query=query)
    anywhere.refused("GET", f"/loadbalancers/{UNKNOWN}/events", None, 404, f"Load Balancer {UNKNOWN} not found.")


def test_they_are_their_projects(make: MakeHarness) -> None:
    harness = make(authenticator=HeaderAuth(), policy=OwnerPolicy())
    tree = make().tree()
    for project, status in (("default", 200), ("other", 403)):
        answer = harness.client.request("GET", _path(tree), headers={"X-Project-Id": project})
        assert answer.status == status, project
