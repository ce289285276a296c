"""How often a request asks the database: reads once, writes a fixed number of times, however much they touch."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.client import Answer
from tests.api.harness import SUBNET, Harness, Tree
from tests.database import statements


def cost(act: Callable[[], Answer]) -> int:
    """The number of statements of a request that succeeds."""
    with statements() as seen:
        answer = act()
    assert answer.status < 300, answer.body
    return len(seen)


@pytest.fixture
def harness(harness: Harness) -> Harness:
    """A project that was counted before: its first object ever makes its row of limits."""
    harness.load_balancer()
    return harness


def _members(count: int) -> list[dict[str, Any]]:
    return [{"address": f"10.1.0.{number + 1}", "protocol_port": 80} for number in range(count)]


def _tree(size: int) -> dict[str, Any]:
    monitor = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3}
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": _members(size), "healthmonitor": monitor}
    listeners = [
        {"protocol": "HTTP", "protocol_port": 1000 + number, "default_pool": {**pool, "name": f"pool-{number}"}}
        for number in range(size)
    ]
    return {"vip_subnet_id": SUBNET, "listeners": listeners}


def test_a_read_is_one_statement(harness: Harness, tree: Tree) -> None:
    client = harness.client
    paths = [*tree.paths.values(), *tree.collections.values(), f"{tree.paths['loadbalancer']}/status"]
    for item in ("member", "rule"):
        # They ask first whether they are where the path says.
        paths.remove(tree.paths[item])
        paths.remove(tree.collections[item])
    for path in paths:
        assert cost(lambda path=path: client.get(path)) == 1, path  # type: ignore[misc]
    assert cost(lambda: client.get("/loadbalancers", limit=1, sort="name:desc", tags="a")) == 1


def test_a_write_is_a_few(harness: Harness, tree: Tree) -> None:
    client = harness.client
    listener = {"loadbalancer_id": tree.load_balancer, "protocol": "HTTP", "protocol_port": 8080}
    # Whose it is, generation, state, the other listeners; the listener, an event, work; and the answer.
    assert cost(lambda: client.post("/listeners", {"listener": listener})) == 8
    changed = {"listener": {"name": "changed"}}
    assert cost(lambda: client.put(tree.paths["listener"], changed)) <= 12


def test_a_creation_is_a_few(harness: Harness) -> None:
    # The project's limits; the load balancer, its VIP, an event, work; and the answer.
    assert cost(lambda: harness.client.post("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})) == 6


def test_a_tree_costs_no_more_statements_for_being_large(harness: Harness) -> None:
    def create(size: int) -> int:
        return cost(lambda: harness.client.post("/loadbalancers", {"loadbalancer": _tree(size)}))

    small = create(2)
    assert small <= 16
    assert create(10) == small


def test_a_batch_costs_no_more_statements_for_being_large(harness: Harness, tree: Tree) -> None:
    path = tree.collections["member"]

    def put(count: int) -> int:
        return cost(lambda: harness.client.put(path, {"members": _members(count)}))

    put(1)
    grown = put(10)
    assert grown <= 16
    assert put(100) == grown
    shrunk = put(50)
    assert shrunk <= 16
    assert put(2) == shrunk
