"""What a change locks, generations, and changes while others are under way (contract 00, section 14; design, 5)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from livia.store import confirmation
from livia.store import tables as t
from tests.api.client import Answer
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, UNKNOWN, Harness, Tree

ALL = (
    "load_balancer",
    "listener http",
    "pool blue",
    "member one",
    "health_monitor check",
    "l7policy away",
    "l7rule /old",
)
#: what is done, and what turns pending by it; the rest stays ACTIVE
LOCKS: list[tuple[str, str, dict[str, str]]] = [
    ("PUT", "loadbalancer", {"load_balancer": "UPDATE"}),
    ("DELETE", "loadbalancer", {"load_balancer": "DELETE"}),
    ("POST", "listener", {"load_balancer": "UPDATE", "listener": "CREATE"}),
    ("PUT", "listener", {"load_balancer": "UPDATE", "listener http": "UPDATE"}),
    (
        "DELETE",
        "listener",
        {
            "load_balancer": "UPDATE",
            "listener http": "DELETE",
            "l7policy away": "DELETE",
            "l7rule /old": "DELETE",
        },
    ),
    ("POST", "pool", {"load_balancer": "UPDATE", "pool": "CREATE"}),
    ("PUT", "pool", {"load_balancer": "UPDATE", "listener http": "UPDATE", "pool blue": "UPDATE"}),
    (
        "DELETE",
        "pool",
        {
            "load_balancer": "UPDATE",
            "listener http": "UPDATE",
            "pool blue": "DELETE",
            "member one": "DELETE",
            "health_monitor check": "DELETE",
        },
    ),
    *(
        (
            method,
            item,
            {"load_balancer": "UPDATE", "listener http": "UPDATE", "pool blue": "UPDATE", name: status},
        )
        for method, item, name, status in (
            ("POST", "member", "member", "CREATE"),
            ("PUT", "member", "member one", "UPDATE"),
            ("DELETE", "member", "member one", "DELETE"),
            ("PUT", "healthmonitor", "health_monitor check", "UPDATE"),
            ("DELETE", "healthmonitor", "health_monitor check", "DELETE"),
        )
    ),
    ("POST", "l7policy", {"load_balancer": "UPDATE", "listener http": "UPDATE", "l7policy": "CREATE"}),
    ("PUT", "l7policy", {"load_balancer": "UPDATE", "listener http": "UPDATE", "l7policy away": "UPDATE"}),
    (
        "DELETE",
        "l7policy",
        {
            "load_balancer": "UPDATE",
            "listener http": "UPDATE",
            "l7policy away": "DELETE",
            "l7rule /old": "DELETE",
        },
    ),
    *(
        (
            method,
            "rule",
            {"load_balancer": "UPDATE", "listener http": "UPDATE", "l7policy away": "UPDATE", name: status},
        )
        for method, name, status in (
            ("POST", "l7rule /new", "CREATE"),
            ("PUT", "l7rule /old", "UPDATE"),
            ("DELETE", "l7rule /old", "DELETE"),
        )
    ),
]


def _do(harness: Harness, tree: Tree, method: str, item: str) -> Answer:
    if method == "POST":
        return harness.client.post(tree.collections[item], {item: tree.minimal(item)})
    if method == "PUT":
        return harness.client.put(tree.paths[item], {item: tree.least_change(item)})
    return harness.client.request("DELETE", tree.paths[item], query="cascade=true" if item == "loadbalancer" else "")


@pytest.mark.parametrize("method, item, touched", LOCKS)
def test_what_a_change_locks(anywhere: Harness, method: str, item: str, touched: dict[str, str]) -> None:
    tree = anywhere.tree()
    generation = anywhere.generation("load_balancer", tree.load_balancer)
    anywhere.wake.keys.clear()
    assert _do(anywhere, tree, method, item).status in (200, 201, 204)
    expected = {**dict.fromkeys(ALL, "ACTIVE"), **{name: f"PENDING_{status}" for name, status in touched.items()}}
    assert anywhere.statuses(tree.load_balancer) == expected
    assert anywhere.generation("load_balancer", tree.load_balancer) == generation + 1
    assert anywhere.wake.keys == [tree.load_balancer]
    with anywhere.database.read() as connection:
        for table in (t.listener, t.pool, t.member, t.health_monitor, t.l7policy, t.l7rule):
            for row in connection.execute(select(table)):
                pending = row.provisioning_status != "ACTIVE"
                assert (row.generation == generation + 1) is pending, (table.name, row.generation)
        work = connection.execute(select(t.work).where(t.work.c.key == tree.load_balancer)).one()
        assert work.project_id == "default"


def test_a_confirmation_settles_everything(anywhere: Harness) -> None:
    tree = anywhere.tree()
    _do(anywhere, tree, "POST", "member")
    _do(anywhere, tree, "DELETE", "healthmonitor")
    generation = anywhere.generation("load_balancer", tree.load_balancer)
    now = anywhere.deps.clock.now()
    assert anywhere.database.transaction(
        lambda connection: confirmation.confirm(connection, tree.load_balancer, generation, now)
    )
    assert set(anywhere.statuses(tree.load_balancer).values()) == {"ACTIVE"}
    assert anywhere.client.get(tree.paths["healthmonitor"]).status == 404
    for item in ("loadbalancer", "listener", "pool"):
        assert anywhere.client.get(tree.paths[item]).json[item]["updated_at"] is not None


def test_what_was_never_confirmed_is_still_being_created(harness: Harness) -> None:
    load_balancer = harness.load_balancer()["id"]
    listener = harness.listener(load_balancer, name="a")["id"]
    assert harness.client.put(f"/listeners/{listener}", {"listener": {"connection_limit": 5}}).status == 200
    assert harness.statuses(load_balancer) == {"load_balancer": "PENDING_CREATE", "listener a": "PENDING_CREATE"}
    assert harness.generation("load_balancer", load_balancer) == harness.generation("listener", listener) == 3


WRITES = [(method, item) for method, item, _touched in LOCKS]


@pytest.mark.parametrize("status", ["PENDING_CREATE", "PENDING_UPDATE", "ERROR"])
@pytest.mark.parametrize("method, item", WRITES)
def test_changes_while_others_are_under_way(harness: Harness, tree: Tree, method: str, item: str, status: str) -> None:
    for kind, object_id in tree.ids.items():
        harness.set_status(kind, object_id, status)
    assert _do(harness, tree, method, item).status in (200, 201, 204)


@pytest.mark.parametrize("method, item", [(method, item) for method, item in WRITES if method != "DELETE"])
def test_no_changes_of_what_is_being_deleted(harness: Harness, tree: Tree, method: str, item: str) -> None:
    harness.set_status("load_balancer", tree.load_balancer, "PENDING_DELETE")
    text = f"Load Balancer {tree.load_balancer} is immutable and cannot be updated."
    if item == "loadbalancer":
        text = f"Invalid state PENDING_DELETE of loadbalancer resource {tree.load_balancer}"
    path = tree.collections[item] if method == "POST" else tree.paths[item]
    body = {item: tree.minimal(item) if method == "POST" else tree.least_change(item)}
    harness.refused(method, path, body, 409, text)
    harness.refused("PUT", f"{tree.paths['loadbalancer']}/failover", None, 409, "Invalid state PENDING_DELETE of")
    harness.refused("PUT", tree.collections["member"], {"members": []}, 409, "is immutable and cannot be updated.")


@pytest.mark.parametrize("item", ["listener", "pool", "member", "healthmonitor", "l7policy", "rule"])
def test_deleting_twice(harness: Harness, tree: Tree, item: str) -> None:
    assert harness.client.delete(tree.paths[item]).status == 204
    before = harness.rows()
    assert harness.client.delete(tree.paths[item]).status == 204
    assert harness.rows() == before
    fault = harness.refused("PUT", tree.paths[item], {item: tree.least_change(item)}, 409)
    assert fault.endswith("is immutable and cannot be updated.")


@pytest.mark.parametrize("item", ["listener", "pool", "member", "healthmonitor", "l7policy", "rule"])
def test_deleting_a_child_of_what_is_being_deleted(harness: Harness, tree: Tree, item: str) -> None:
    assert harness.client.delete(tree.paths["loadbalancer"], cascade="true").status == 204
    before = harness.rows()
    assert harness.client.delete(tree.paths[item]).status == 204
    assert harness.rows() == before


STRICT_TEXTS = {
    "loadbalancer": "Invalid state {status} of loadbalancer resource {lb}",
    "listener": "Load Balancer {lb} is immutable and cannot be updated.",
    "pool": "Load Balancer {lb} is immutable and cannot be updated.",
    "member": "Pool {pool} is immutable and cannot be updated.",
    "healthmonitor": "Pool {pool} is immutable and cannot be updated.",
    "l7policy": "Load Balancer {lb} is immutable and cannot be updated.",
    "rule": "L7Policy {policy} is immutable and cannot be updated.",
}


@pytest.mark.parametrize("status", ["PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE", "ERROR"])
@pytest.mark.parametrize("method, item", WRITES)
def test_strictly_immutable_while_pending(make: MakeHarness, method: str, item: str, status: str) -> None:
    tree = make().tree()
    harness = make(immutable_while_pending=True)
    harness.set_status("load_balancer", tree.load_balancer, status)
    harness.set_status("pool", tree.pool, status)
    harness.set_status("l7policy", tree.policy, status)
    if item == "loadbalancer" and method == "DELETE" and status == "ERROR":
        assert _do(harness, tree, method, item).status == 204
        return
    text = STRICT_TEXTS[item].format(status=status, lb=tree.load_balancer, pool=tree.pool, policy=tree.policy)
    path = tree.collections[item] if method == "POST" else tree.paths[item]
    body = {item: tree.minimal(item) if method == "POST" else tree.least_change(item)} if method != "DELETE" else None
    harness.refused(
        method, path, body, 409, text, query="cascade=true" if method == "DELETE" and item == "loadbalancer" else ""
    )


def test_strict_order_of_refusals(make: MakeHarness) -> None:
    tree = make().tree()
    harness = make(immutable_while_pending=True)
    harness.set_status("load_balancer", tree.load_balancer, "PENDING_UPDATE")
    immutable = f"Load Balancer {tree.load_balancer} is immutable"
    missing_pool = {**tree.minimal("listener"), "default_pool_id": UNKNOWN}
    harness.refused("POST", "/listeners", {"listener": missing_pool}, 404, "Pool")
    bad_header = {**tree.minimal("listener"), "insert_headers": {"X-Bad": "true"}}
    harness.refused("POST", "/listeners", {"listener": bad_header}, 409, immutable)
    harness.refused("PUT", tree.paths["listener"], {"listener": {"insert_headers": {"X-Bad": "true"}}}, 400, "X-Bad")
    harness.refused("POST", tree.collections["member"], {"member": tree.minimal("member")}, 409, immutable)
    harness.set_status("load_balancer", tree.load_balancer, "ERROR")
    assert harness.client.put(f"{tree.paths['loadbalancer']}/failover").status == 202
    harness.set_status("load_balancer", tree.load_balancer, "ACTIVE")
    harness.set_status("listener", tree.listener, "ERROR")
    assert harness.client.put(tree.paths["listener"], {"listener": {}}).status == 200


def test_a_listener_being_deleted_makes_way(anywhere: Harness) -> None:
    tree = anywhere.tree()
    changes = {"allowed_cidrs": ["10.0.0.0/8"], "tags": ["t"]}
    assert anywhere.client.put(tree.paths["listener"], {"listener": changes}).status == 200
    assert anywhere.client.delete(tree.paths["listener"]).status == 204
    again = anywhere.listener(tree.load_balancer, default_pool_id=tree.pool)
    assert again["id"] != tree.listener
    assert anywhere.client.get(tree.paths["listener"]).status == 404
    tcp_after_http = anywhere.client.delete(f"/listeners/{again['id']}")
    assert tcp_after_http.status == 204
    assert anywhere.listener(tree.load_balancer, protocol="TCP")["protocol_port"] == 80


def test_a_member_being_deleted_makes_way(anywhere: Harness) -> None:
    tree = anywhere.tree()
    assert anywhere.client.delete(tree.paths["member"]).status == 204
    assert anywhere.member(tree.pool, tags=["x"])["id"] != tree.member
    assert anywhere.client.get(tree.paths["member"]).status == 404


def test_a_pool_being_deleted_is_not_attached(harness: Harness, tree: Tree) -> None:
    assert harness.client.delete(tree.paths["pool"]).status == 204
    attach = {"listener": {"default_pool_id": tree.pool}}
    harness.refused("PUT", tree.paths["listener"], attach, 404, f"Pool {tree.pool} not found.")
    text = f"Pool {tree.pool} is immutable and cannot be updated."
    harness.refused("POST", tree.collections["member"], {"member": tree.minimal("member")}, 409, text)
    harness.refused("POST", "/healthmonitors", {"healthmonitor": tree.minimal("healthmonitor")}, 409, text)
    assert harness.pool(listener_id=tree.listener)["listeners"] == [{"id": tree.listener}]


def _at_once(calls: list[Callable[[], Answer]]) -> list[int]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(answer.status for answer in pool.map(lambda call: call(), calls))


def test_simultaneous_changes_are_all_counted(anywhere: Harness) -> None:
    tree = anywhere.tree()
    generation = anywhere.generation("load_balancer", tree.load_balancer)

    def add(port: int) -> Callable[[], Answer]:
        body = {"member": {"address": "10.0.0.30", "protocol_port": port}}
        return lambda: anywhere.client.post(tree.collections["member"], body)

    assert _at_once([add(port) for port in range(1, 13)]) == [201] * 12
    assert anywhere.generation("load_balancer", tree.load_balancer) == generation + 12
    with anywhere.database.read() as connection:
        generations = connection.execute(
            select(t.member.c.generation).where(t.member.c.ip_address == "10.0.0.30").order_by(t.member.c.generation)
        )
        assert list(generations.scalars()) == list(range(generation + 1, generation + 13))


@pytest.mark.parametrize("item", ["listener", "member", "healthmonitor"])
def test_simultaneous_duplicates(anywhere: Harness, item: str) -> None:
    tree = anywhere.tree()
    bodies: dict[str, dict[str, Any]] = {
        "listener": tree.minimal("listener"),
        "member": tree.minimal("member"),
        "healthmonitor": tree.minimal("healthmonitor"),
    }
    if item == "healthmonitor":
        assert anywhere.client.delete(tree.paths[item]).status == 204
    calls = [lambda: anywhere.client.post(tree.collections[item], {item: bodies[item]})] * 6
    assert _at_once(calls) == [201] + [409] * 5


def test_a_delete_among_changes(anywhere: Harness) -> None:
    tree = anywhere.tree()
    change = {"listener": {"name": "x"}}
    calls = [lambda: anywhere.client.put(tree.paths["listener"], change)] * 5
    calls.append(lambda: anywhere.client.delete(tree.paths["loadbalancer"], cascade="true"))
    statuses = _at_once(calls)
    assert set(statuses) <= {200, 204, 409}
    assert statuses.count(204) == 1
    assert anywhere.statuses(tree.load_balancer)["load_balancer"] == "PENDING_DELETE"


def test_quotas_hold_under_a_rush(anywhere: Harness) -> None:
    harness = Harness(anywhere.database, default_load_balancer_quota=3)
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    assert _at_once([lambda: harness.client.post("/loadbalancers", body)] * 8) == [201] * 3 + [403] * 5
