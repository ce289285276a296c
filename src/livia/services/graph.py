"""The children of a single-call create, inserted in its transaction (contract 10, section 6)."""

from collections.abc import Mapping, Sequence
from typing import Any

from livia.core.rules import protocols
from livia.core.rules.references import LISTENER, POOL, Readings
from livia.services import health_monitors, listeners, members, pools, references
from livia.services.change import Change
from livia.services.context import Deps, require
from livia.store.listeners import Neighbour


def growth(wanted_listeners: Sequence[Mapping[str, Any]], wanted_pools: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Kind to the number of new objects, in the order in which quotas are checked."""
    return {
        "load_balancer": 1,
        "pool": len(wanted_pools),
        "health_monitor": sum(1 for pool in wanted_pools if pool["healthmonitor"]),
        "member": sum(len(pool["members"]) for pool in wanted_pools),
        "listener": len(wanted_listeners),
    }


def check_targets(deps: Deps, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise the 400 of a member with a reserved address or in a missing subnet."""
    members.check_targets(deps, (member for pool in wanted for member in pool["members"]))


def read_references(
    deps: Deps,
    project_id: str,
    wanted_listeners: Sequence[Mapping[str, Any]],
    wanted_pools: Sequence[Mapping[str, Any]],
) -> Readings:
    """The key material that the children name."""
    named = [*((LISTENER, listener) for listener in wanted_listeners), *((POOL, pool) for pool in wanted_pools)]
    return references.read(deps, project_id, *named)


def add(
    change: Change,
    wanted_listeners: Sequence[Mapping[str, Any]],
    wanted_pools: Sequence[Mapping[str, Any]],
    default_pools: Sequence[int | None],
    readings: Readings,
) -> None:
    """Insert everything, or raise `Refused`. `default_pools`: indexes into `wanted_pools`, one a listener."""
    pool_ids = [_add_pool(change, pool, readings, ordinal) for ordinal, pool in enumerate(wanted_pools)]
    added: list[Neighbour] = []
    for ordinal, (listener, index) in enumerate(zip(wanted_listeners, default_pools, strict=True)):
        values = dict(listener)
        if values["default_pool_id"] is not None:
            # It names a pool of this load balancer, which had none a moment ago.
            change.place("pool", values["default_pool_id"])
        if index is not None:
            require(
                protocols.no_children(values["protocol"]),
                protocols.pool_fits_listener(wanted_pools[index]["protocol"], values["protocol"]),
            )
            values["default_pool_id"] = pool_ids[index]
        if values["l7policies"]:
            require(protocols.no_children(values["protocol"]))
            change.require_supported("l7 policies", values)
        listeners.add(change, values, readings, added, ordinal=ordinal)


def _add_pool(change: Change, pool: Mapping[str, Any], readings: Readings, ordinal: int) -> str:
    pool_id = pools.add(change, pool, readings, ordinal=ordinal)
    for member in pool["members"]:
        members.check_hardware(change, member)
    members.add(change, pool_id, pool["members"])
    if pool["healthmonitor"]:
        health_monitors.add(change, pool_id, pool["protocol"], pool["healthmonitor"])
    return pool_id
