"""The children of a single-call create, inserted in its transaction (contract 10, section 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from livia.core.rules import l7, protocols
from livia.core.rules.references import LISTENER, POOL, Readings
from livia.services import health_monitors, l7policies, listeners, members, pools, references
from livia.services.change import Change
from livia.services.context import Deps, require
from livia.store.listeners import Neighbour


class Graph(Struct, frozen=True):
    """What a single-call create holds besides the load balancer, completed with defaults.

    `default_pools`: for each listener the index of its default pool in `pools`; `redirect_pools`: the same for each
    of its policies. `readings`: the key material that they name.
    """

    listeners: Sequence[Mapping[str, Any]] = ()
    pools: Sequence[Mapping[str, Any]] = ()
    default_pools: Sequence[int | None] = ()
    redirect_pools: Sequence[Sequence[int | None]] = ()
    readings: Readings = {}


def growth(wanted: Graph) -> dict[str, int]:
    """Kind to the number of new objects, in the order in which quotas are checked."""
    policies = [policy for listener in wanted.listeners for policy in listener["l7policies"]]
    return {
        "load_balancer": 1,
        "pool": len(wanted.pools),
        "health_monitor": sum(1 for pool in wanted.pools if pool["healthmonitor"]),
        "member": sum(len(pool["members"]) for pool in wanted.pools),
        "listener": len(wanted.listeners),
        "l7policy": len(policies),
        "l7rule": sum(len(policy["rules"]) for policy in policies),
    }


def check_targets(deps: Deps, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise the 400 of a member with an address that none may have, or in a missing subnet."""
    members.check_targets(deps, (member for pool in wanted for member in pool["members"]))


def read_references(deps: Deps, project_id: str, wanted: Graph) -> Readings:
    """The key material that the children name."""
    named = [*((LISTENER, listener) for listener in wanted.listeners), *((POOL, pool) for pool in wanted.pools)]
    return references.read(deps, project_id, *named)


def add(change: Change, wanted: Graph) -> None:
    """Insert everything, or raise `Refused`."""
    pool_ids = [_add_pool(change, pool, wanted.readings, ordinal) for ordinal, pool in enumerate(wanted.pools)]
    added: list[Neighbour] = []
    places = zip(wanted.listeners, wanted.default_pools, wanted.redirect_pools, strict=True)
    for ordinal, (listener, default_pool, redirect_pools) in enumerate(places):
        protocol = listener["protocol"]
        values = dict(listener)
        if values["default_pool_id"] is not None:
            # It names a pool of this load balancer, which had none a moment ago.
            change.place("pool", values["default_pool_id"])
        if default_pool is not None:
            values["default_pool_id"] = _fitting(wanted, default_pool, protocol, pool_ids)
        if values["l7policies"]:
            require(protocols.no_children(protocol))
        listener_id = listeners.add(change, values, wanted.readings, added, ordinal=ordinal)
        positions = l7.positions([policy["position"] for policy in values["l7policies"]])
        for policy, index, position in zip(values["l7policies"], redirect_pools, positions, strict=True):
            pool_id = None if index is None else _fitting(wanted, index, protocol, pool_ids)
            l7policies.add(change, listener_id, protocol, {**policy, "redirect_pool_id": pool_id}, position)


def _fitting(wanted: Graph, index: int, protocol: str, pool_ids: Sequence[str]) -> str:
    """The id of a pool that a listener of `protocol` is to send traffic to."""
    require(
        protocols.no_children(protocol),
        protocols.pool_fits_listener(wanted.pools[index]["protocol"], protocol),
    )
    return pool_ids[index]


def _add_pool(change: Change, pool: Mapping[str, Any], readings: Readings, ordinal: int) -> str:
    pool_id = pools.add(change, pool, readings, ordinal=ordinal)
    for member in pool["members"]:
        members.check_hardware(change, member)
    members.add(change, pool_id, pool["members"], protocol=pool["protocol"])
    if pool["healthmonitor"]:
        health_monitors.add(change, pool_id, pool["protocol"], pool["healthmonitor"])
    return pool_id
