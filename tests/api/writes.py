"""One of every write, for what must hold for each of them."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from tests.api.harness import SUBNET, Tree


class Write(Struct, frozen=True):
    """A request that is accepted once by a tree that is ACTIVE. Its parts are made of the tree."""

    name: str
    method: str
    path: Callable[[Tree], str]
    body: Callable[[Tree], Any]
    status: int
    query: str = ""


def _create(item: str) -> Write:
    return Write(
        f"POST {item}", "POST", lambda tree: tree.collections[item], lambda tree: {item: tree.minimal(item)}, 201
    )


def _change(item: str) -> Write:
    return Write(f"PUT {item}", "PUT", lambda tree: tree.paths[item], lambda _tree: {item: {"name": "other"}}, 200)


def _delete(item: str) -> Write:
    return Write(f"DELETE {item}", "DELETE", lambda tree: tree.paths[item], lambda _tree: None, 204)


_CHILDREN = ("listener", "pool", "member", "healthmonitor")
_GRAPH = {
    "vip_subnet_id": SUBNET,
    "pools": [
        {
            "name": "blue",
            "protocol": "HTTP",
            "lb_algorithm": "ROUND_ROBIN",
            "members": [{"address": "10.0.0.31", "protocol_port": 80}],
        }
    ],
    "listeners": [{"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "blue"}}],
}

CREATES = [
    *(_create(item) for item in ("loadbalancer", "listener", "pool", "member")),
    Write("POST graph", "POST", lambda tree: "/loadbalancers", lambda tree: {"loadbalancer": _GRAPH}, 201),
]
CHANGES = [_change(item) for item in ("loadbalancer", *_CHILDREN)]
OTHERS = [
    Write(
        "PUT members",
        "PUT",
        lambda tree: tree.collections["member"],
        lambda _tree: {"members": [{"address": "10.0.0.41", "protocol_port": 80}]},
        202,
    ),
    Write("PUT failover", "PUT", lambda tree: f"{tree.paths['loadbalancer']}/failover", lambda _tree: None, 202),
]
#: in an order in which each can still be done after the others
DELETES = [
    *(_delete(item) for item in ("healthmonitor", "member", "pool", "listener")),
    Write("DELETE cascade", "DELETE", lambda tree: tree.paths["loadbalancer"], lambda _tree: None, 204, "cascade=true"),
]
WRITES = [*CREATES, *CHANGES, *OTHERS, *DELETES]
