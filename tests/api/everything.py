"""Objects for requests made of the OpenAPI document: their ids by the names that paths, queries and bodies have."""

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from tests.api.amphorae import put, reported
from tests.api.harness import SUBNET, Harness
from tests.api.offers import FLAVORS, ZONES, Shelf

Ids = dict[str, str]


class Everything:
    """Makes one of everything."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._numbers = count()
        #: what makes the object that a part of a path names, and perhaps those around it
        self._makers: dict[str, Callable[[], Ids]] = {
            "loadbalancer_id": self._bare,
            **dict.fromkeys(
                ("listener_id", "pool_id", "member_id", "healthmonitor_id", "l7policy_id", "rule_id"), self._tree
            ),
            "flavor_id": lambda: self._offer(FLAVORS, "flavor_id"),
            "flavorprofile_id": lambda: {"flavorprofile_id": FLAVORS.profile(harness)["id"]},
            "availability_zone_name": lambda: self._offer(ZONES, "availability_zone_name"),
            "availability_zone_profile_id": lambda: {"availability_zone_profile_id": ZONES.profile(harness)["id"]},
            "amphora_id": self._amphora,
            "provider": lambda: {"provider": "amphora"},
        }
        self._old = self._all()

    def ids(self, names: Iterable[str], *, fresh: bool) -> Ids:
        """Ids of everything; with `fresh` of objects of these names that nobody else was given.

        What has no maker need not exist, as the project of a quota.
        """
        found = dict(self._old)
        for name in names if fresh else ():
            found |= self._makers.get(name, dict)()
        return found

    def missing(self, body: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """What new objects need that the document cannot tell, by wrapper."""
        if "loadbalancer" in body:
            return {"loadbalancer": {"vip_subnet_id": SUBNET}}
        if "pool" in body:
            return {"pool": self._bare()}
        if "healthmonitor" in body:
            # A pool has one monitor at most.
            return {"healthmonitor": {"pool_id": self._harness.pool(**self._bare())["id"]}}
        if "rule" in body:
            # Most texts do not go with most types.
            return {"rule": {"compare_type": "EQUAL_TO", "value": "true"}}
        for shelf in (FLAVORS, ZONES):
            if shelf.profile_item in body:
                return {shelf.profile_item: {"provider_name": "amphora", shelf.data: "{}"}}
        return {}

    def _all(self) -> Ids:
        found = {"subnet_id": SUBNET, "vip_subnet_id": SUBNET}
        for name in self._makers:
            found |= self._makers[name]()
        return found | self._tree()

    def _bare(self) -> Ids:
        return {"loadbalancer_id": self._harness.load_balancer()["id"]}

    def _tree(self) -> Ids:
        tree = self._harness.tree()
        return {
            "loadbalancer_id": tree.load_balancer,
            "load_balancer_id": tree.load_balancer,
            "listener_id": tree.listener,
            "pool_id": tree.pool,
            "default_pool_id": tree.pool,
            "member_id": tree.member,
            "healthmonitor_id": tree.monitor,
            "l7policy_id": tree.policy,
            "rule_id": tree.rule,
            "redirect_pool_id": tree.pool,
            "marker": tree.member,
        }

    def _amphora(self) -> Ids:
        """One that failed and is bound and has counted: whatever can be done with an amphora, can with this one."""
        tree, amphora_id = self._harness.tree(), str(uuid4())
        put(self._harness, amphora_id, tree.load_balancer, status="ERROR")
        counters = dict.fromkeys(("bytes_in", "bytes_out", "active_connections", "total_connections"), 1)
        reported(self._harness, amphora_id, tree.load_balancer, tree.listener, **counters, request_errors=0)
        return {"amphora_id": amphora_id}

    def _offer(self, shelf: Shelf, name: str) -> Ids:
        offer = shelf.offer(self._harness, name=f"offer {next(self._numbers)}")
        return {name: offer[shelf.key], shelf.profile_id: offer[shelf.profile_id]}
