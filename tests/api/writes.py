"""One of every write, for what must hold for each of them."""

from typing import Any

from msgspec import Struct

from tests.api.amphorae import put
from tests.api.harness import SUBNET, Harness, Tree
from tests.api.offers import SHELVES


class Write(Struct, frozen=True):
    """A request that is accepted once. `wakes`: it is about a load balancer, and gives the worker something to do."""

    method: str
    path: str
    body: Any
    status: int
    query: str = ""
    wakes: bool = True

    @property
    def single(self) -> bool:
        """It changes or deletes an object that GET shows at the same path."""
        return self.method != "POST" and not self.path.endswith(("/failover", "/members", "/config"))


def writes(harness: Harness, tree: Tree) -> list[Write]:
    """All of them, in an order in which each can still be done after the others. The objects they need are made."""
    others = (*_others(tree), *_amphorae(harness, tree), *_offers(harness))
    return [*creates(harness, tree), *_changes(tree), *others, *_deletes(tree)]


def creates(harness: Harness, tree: Tree) -> list[Write]:
    """Every POST that creates something."""
    found = [
        Write("POST", tree.collections[item], {item: tree.minimal(item)}, 201)
        for item in tree.paths
        if item != "healthmonitor"
    ]
    bare = harness.pool(loadbalancer_id=tree.load_balancer)["id"]
    monitor = {**tree.minimal("healthmonitor"), "pool_id": bare}
    policy = {"action": "REJECT", "rules": [tree.minimal("rule")]}
    listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}, "l7policies": [policy]}
    graph = {
        "vip_subnet_id": SUBNET,
        "pools": [
            {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [tree.minimal("member")]}
        ],
        "listeners": [listener],
    }
    harness.confirm(tree.load_balancer)
    return [
        *found,
        Write("POST", "/healthmonitors", {"healthmonitor": monitor}, 201),
        Write("POST", "/loadbalancers", {"loadbalancer": graph}, 201),
    ]


def _changes(tree: Tree) -> list[Write]:
    return [Write("PUT", path, {item: {"tags": ["other"]}}, 200) for item, path in tree.paths.items()]


def _others(tree: Tree) -> list[Write]:
    members = {"members": [{"address": "10.0.0.41", "protocol_port": 80}]}
    return [
        Write("PUT", tree.collections["member"], members, 202, "additive_only=true"),
        Write("PUT", f"{tree.paths['loadbalancer']}/failover", None, 202),
        Write("PUT", "/quotas/mine", {"quota": {"pool": 7}}, 202, wakes=False),
        Write("DELETE", "/quotas/mine", None, 202, wakes=False),
    ]


def _deletes(tree: Tree) -> list[Write]:
    found = [Write("DELETE", path, None, 204) for item, path in reversed(tree.paths.items()) if item != "loadbalancer"]
    return [*found, Write("DELETE", tree.paths["loadbalancer"], None, 204, "cascade=true")]


def _amphorae(harness: Harness, tree: Tree) -> list[Write]:
    serving, failed = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2))
    put(harness, serving, tree.load_balancer, status="ALLOCATED")
    put(harness, failed, tree.load_balancer, status="ERROR")
    path = "/v2/octavia/amphorae"
    return [
        Write("PUT", f"{path}/{serving}/config", None, 202),
        Write("PUT", f"{path}/{serving}/failover", None, 202),
        Write("DELETE", f"{path}/{failed}", None, 204),
    ]


def _offers(harness: Harness) -> list[Write]:
    """Flavors, availability zones and their profiles."""
    found: list[Write] = []
    for shelf in SHELVES:
        profile, spare = (shelf.profile(harness) for _ in range(2))
        offer = shelf.at(shelf.offer(harness, name="o", **{shelf.profile_id: profile["id"]}))
        new = {"name": "p", "provider_name": "amphora", shelf.data: profile[shelf.data]}
        for method, path, body, status in (
            ("POST", shelf.profile_path, {shelf.profile_item: new}, 201),
            ("POST", shelf.path, {shelf.item: {"name": "n", shelf.profile_id: profile["id"]}}, 201),
            ("PUT", f"{shelf.profile_path}/{spare['id']}", {shelf.profile_item: {"name": "q"}}, 200),
            ("PUT", offer, {shelf.item: {"description": "d"}}, 200),
            ("DELETE", f"{shelf.profile_path}/{spare['id']}", None, 204),
            ("DELETE", offer, None, 204),
        ):
            found.append(Write(method, path, body, status, wakes=False))
    return found
