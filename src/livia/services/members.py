"""Use cases of members, one by one and a whole pool's at once (contract 30, part B)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from livia.core.model.load_balancer import VnicType
from livia.core.model.status import Operating, Provisioning
from livia.core.rules import members as rules
from livia.core.rules.state import immutable, not_found
from livia.core.rules.verdict import Refuse
from livia.services import choices, quotas
from livia.services.change import Change, leaving, perform, place_of, strictly
from livia.services.context import Context, Deps, Refused, refuse, require
from livia.store import load_balancers, members, objects, pools

_COLUMNS = {
    "admin_state_up": "enabled",
    "address": "ip_address",
    **{
        name: name
        for name in ("name", "protocol_port", "weight", "backup", "subnet_id", "monitor_address", "monitor_port")
    },
}
#: what a batch gives an existing member that the request leaves out; the rest stays (contract 30, section B6)
_RESET = ("weight", "backup", "admin_state_up", "monitor_address", "monitor_port")
_NO_SRIOV = Refuse(400, "Validation failure: The load balancer flavor does not allow SR-IOV member ports.")


def place_in_pool(deps: Deps, pool_id: str, member_id: str) -> objects.Place:
    """Where a member of this pool belongs. Raises the 404s, also for a member of another pool."""
    with deps.database.read() as connection:
        found = objects.place(connection, "member", member_id)
        if found is not None and members.in_pool(connection, member_id, pool_id):
            return found
    place_of(deps, "pool", pool_id)
    raise refuse(not_found("member", member_id))


def create(deps: Deps, context: Context, pool_id: str, values: Mapping[str, Any]) -> str:
    """Create a member from complete values of the wire. Its id. Raises `Refused`."""
    place = place_of(deps, "pool", pool_id)
    check_targets(deps, (values,))

    def act(change: Change) -> str:
        pool = change.place("pool", pool_id)
        quotas.take(change, {"member": 1})
        check_hardware(change, values)
        change.require_mutable_pool(pool)
        present = members.at(change.connection, pool_id, *_key(values))
        protocol, monitored = pools.for_members(change.connection, pool_id)
        (member_id,) = add(change, pool_id, (values,), protocol=protocol, present=present, monitored=monitored)
        change.mark_pool(pool_id)
        return member_id

    return perform(deps, context, place.load_balancer_id, act)


def check_targets(deps: Deps, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Raise the 400 of an address that no member may have, or of a missing subnet; each subnet is looked up once."""
    subnets: set[str] = set()
    for values in wanted:
        require(rules.address_allowed(values["address"], deps.settings.reserved_ips))
        require(rules.monitor_allowed(values.get("monitor_address")))
        subnet_id = values.get("subnet_id")
        if subnet_id is not None and subnet_id not in subnets:
            if deps.network.subnet(subnet_id) is None:
                raise Refused(400, f"Subnet {subnet_id} not found.")
            subnets.add(subnet_id)


def add(
    change: Change,
    pool_id: str,
    wanted: Sequence[Mapping[str, Any]],
    *,
    protocol: str,
    present: Iterable[members.Present] = (),
    monitored: bool = False,
) -> list[str]:
    """Insert members in this order. Their ids. Raises the 409 of a duplicate.

    `protocol` is the pool's; `present`: those members of the pool that may be where one is wanted;
    one that is being deleted makes way.
    """
    taken = {each.key: each for each in present}
    status = str(Operating.OFFLINE if monitored else Operating.NO_MONITOR)
    doomed, rows = [], {}
    for values in wanted:
        key = _key(values)
        if key in taken and taken[key].provisioning_status == objects.DELETING:
            doomed.append(taken.pop(key).id)
        if key in taken or key in rows:
            raise refuse(rules.duplicate(*key))
        vnic_type = VnicType.DIRECT if values.get("request_sriov") else VnicType.NORMAL
        rows[key] = {
            **columns(values),
            "pool_id": pool_id,
            "operating_status": status,
            "vnic_type": str(vnic_type),
        }
    _require_reachable(change, protocol, wanted)
    if doomed:
        members.make_way(change.connection, doomed)
    return [
        change.add("member", rows[_key(values)], values["tags"], ordinal=ordinal)
        for ordinal, values in enumerate(wanted)
    ]


def update(deps: Deps, context: Context, pool_id: str, member_id: str, changes: Mapping[str, Any]) -> None:
    """Change a member. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_in_pool(deps, pool_id, member_id)
    require(rules.monitor_allowed(changes.get("monitor_address")))

    def act(change: Change) -> None:
        member = change.place("member", member_id)
        change.require_mutable_pool(change.place("pool", pool_id))
        if member.provisioning_status == objects.DELETING:
            raise Refused(409, f"Pool {pool_id} is immutable and cannot be updated.")
        change.update("member", member_id, columns(changes), changes)
        change.mark_pool(pool_id)

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, pool_id: str, member_id: str) -> None:
    """Delete a member. Twice changes nothing. Raises `Refused`."""
    place = place_in_pool(deps, pool_id, member_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        change.place("member", member_id)
        change.require_mutable_pool(change.place("pool", pool_id))
        change.delete("member", (member_id,))
        change.mark_pool(pool_id)

    perform(deps, context, place.load_balancer_id, act)


def replace_all(
    deps: Deps,
    context: Context,
    pool_id: str,
    wanted: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    *,
    additive: bool,
) -> None:
    """Make the pool's members those of `wanted`; with `additive` keep the others as well. Raises `Refused`.

    `wanted`: for each member what the request sets, and the same completed with defaults.
    """
    place = place_of(deps, "pool", pool_id)
    keys = [_key(values) for _given, values in wanted]
    with deps.database.read() as connection:
        there = [each for each in members.of_pool(connection, pool_id) if each.provisioning_status != objects.DELETING]
    known = {each.key for each in there}
    new = [values for _given, values in wanted if _key(values) not in known]
    idle = not keys and (additive or not there)
    if idle or new:
        # What is busy refuses before anything of the request is looked at (contract 30, section B6).
        _require_mutable(deps, place)
    if idle:
        return
    # Subnets are asked for outside the transaction; a member that appears meanwhile was checked when it did.
    check_targets(deps, new)
    for _given, values in wanted:
        require(rules.monitor_allowed(values.get("monitor_address")))

    def act(change: Change) -> None:
        change.require_mutable_pool(change.place("pool", pool_id))
        _replace_all(change, pool_id, wanted, additive=additive)

    perform(deps, context, place.load_balancer_id, act)


def _replace_all(
    change: Change,
    pool_id: str,
    wanted: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
    *,
    additive: bool,
) -> None:
    there = members.of_pool(change.connection, pool_id)
    present = {each.key: each.id for each in there if each.provisioning_status != objects.DELETING}
    plan = rules.batch(present, [_key(values) for _given, values in wanted], additive=additive)
    if isinstance(plan, Refuse):
        raise refuse(plan)
    quotas.take(change, {"member": plan.growth})
    change.delete("member", [present[key] for key in plan.delete])
    new = [values for _given, values in wanted if _key(values) not in present]
    for values in new:
        check_hardware(change, values)
    protocol, monitored = pools.for_members(change.connection, pool_id)
    add(change, pool_id, new, protocol=protocol, present=there, monitored=monitored)
    kept = {present[key]: _kept(given, values) for given, values in wanted if (key := _key(values)) in present}
    change.update_all("member", {member_id: (columns(values), values) for member_id, values in kept.items()})
    change.mark_pool(pool_id)


def _kept(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """What changes of a member that is there already."""
    return {
        **{name: values[name] for name in _RESET},
        **{name: given[name] for name in ("name", "tags") if name in given},
    }


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `member` for values of the wire."""
    return {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}


def _key(values: Mapping[str, Any]) -> tuple[str, int]:
    return values["address"], values["protocol_port"]


def check_hardware(change: Change, values: Mapping[str, Any]) -> None:
    """Raise the 400 of a member port that the load balancer's flavor does not allow."""
    if not values.get("request_sriov"):
        return
    if not choices.allows_member_sriov(change.connection, change.state.flavor_id):
        raise refuse(_NO_SRIOV)
    change.require_supported("member", values)


def _require_reachable(change: Change, protocol: str, wanted: Iterable[Mapping[str, Any]]) -> None:
    """Note members that a UDP or SCTP pool's load balancer has no VIP for."""
    if wanted and protocol in ("UDP", "SCTP"):
        vips = load_balancers.addresses(change.connection, change.state.id)
        change.note_unsupported(rules.unreachable(protocol, (values["address"] for values in wanted), vips))


def _require_mutable(deps: Deps, pool: objects.Place) -> None:
    """Raise the 409 of a pool, or then of its load balancer, that cannot be changed now."""
    with deps.database.read() as connection:
        state = load_balancers.state(connection, pool.load_balancer_id)
    if state is None:
        raise refuse(not_found("load_balancer", pool.load_balancer_id))
    strict = strictly(deps, state.provider)
    for kind, each in (("pool", pool), ("load_balancer", state)):
        if each.provisioning_status == objects.DELETING or (strict and each.provisioning_status != Provisioning.ACTIVE):
            raise refuse(immutable(kind, each.id))
