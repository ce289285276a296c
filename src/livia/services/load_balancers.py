"""Use cases of load balancers (contract 10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from livia.core.rules import state as state_rules
from livia.core.rules import vip as vip_rules
from livia.core.rules.capabilities import supported
from livia.services import choices, graph, quotas, vips
from livia.services.change import Change, leaving, own_objection, perform, place_of
from livia.services.context import Context, Deps, refuse, require
from livia.services.graph import Graph
from livia.store import load_balancers, tags
from livia.store.load_balancers import NewVip

_COLUMNS = {"admin_state_up": "enabled", "name": "name", "description": "description"}


def create(deps: Deps, context: Context, project_id: str, values: Mapping[str, Any], wanted: Graph) -> str:
    """Create a load balancer with all that `wanted` holds, in one transaction. Its id.

    Raises `Refused`, or `DriverError` with the network service's own code and message.
    """
    chosen = choices.look_up(deps, values)
    topology = choices.topology(deps, chosen)
    found = vips.find(deps, values, topology)
    provider = choices.provider(deps, values, chosen)
    columns = {
        **{_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS},
        "topology": topology,
        "project_id": project_id,
        "flavor_id": values["flavor_id"],
        "availability_zone": values["availability_zone"],
        "provider": provider,
    }
    with deps.database.read() as connection:
        # Refused before a port is made for nothing; it is counted again under the lock.
        limits = quotas.check(deps, connection, project_id, graph.growth(wanted))
    granted = choices.check(deps, provider, chosen)
    vips.check_network(deps, found, provider, granted.vip_networks(deps.settings.valid_vip_networks))
    _check_vnic_type(deps, provider, granted.vnic_type, values)
    graph.check_targets(deps, wanted.pools)
    wanted = replace(wanted, readings=graph.read_references(deps, project_id, wanted))
    load_balancer_id = deps.new_id()
    vip = vips.book(deps, context, load_balancer_id, project_id, found, values)
    vip = replace(vip, vnic_type=str(granted.vnic_type))
    with deps.database.undoing(lambda: vips.release(deps, context, load_balancer_id, vip)):
        state = load_balancers.new_state(load_balancer_id, columns, limits)
        deps.database.transaction(
            lambda connection: _store(Change(deps, context, connection, state), columns, vip, values["tags"], wanted)
        )
    deps.wake.hint(load_balancer_id)
    return load_balancer_id


def _check_vnic_type(deps: Deps, provider: str, vnic_type: str, values: Mapping[str, Any]) -> None:
    require(
        vip_rules.security_groups_fit(vnic_type, values["vip_sg_ids"]),
        supported(deps.limits, provider, "load balancer", {"vip_vnic_type": vnic_type}),
    )


def _store(change: Change, columns: Mapping[str, Any], vip: NewVip, wanted_tags: Sequence[str], wanted: Graph) -> None:
    quotas.take(change, graph.growth(wanted))
    load_balancer_id = change.state.id
    load_balancers.add(change.new, change.state, columns, vip, change.now)
    tags.add(change.new, load_balancer_id, wanted_tags)
    name = f"{columns['name']} " if columns["name"] else ""
    change.tell(
        "load_balancer.create", "load_balancer", load_balancer_id, f"Load balancer {name}was created at {vip.address}."
    )
    graph.add(change, wanted)
    change.finish()
    change.request_work()


def update(deps: Deps, context: Context, load_balancer_id: str, changes: Mapping[str, Any]) -> None:
    """Change a load balancer. `changes`: what the request sets, nulls that mean a default resolved."""
    place_of(deps, "load_balancer", load_balancer_id)
    _check_vip_changes(deps, load_balancer_id, changes)

    def act(change: Change) -> None:
        change.require_mutable()
        columns = {_COLUMNS[name]: value for name, value in changes.items() if name in _COLUMNS}
        load_balancers.set_values(change.connection, load_balancer_id, {**columns, "updated_at": change.now})
        change.replace_tags(load_balancer_id, changes)
        if "vip_qos_policy_id" in changes:
            load_balancers.set_qos_policy(change.connection, load_balancer_id, changes["vip_qos_policy_id"])
        if "vip_sg_ids" in changes:
            load_balancers.set_security_groups(change.connection, load_balancer_id, changes["vip_sg_ids"])
        changed = ", ".join(sorted(changes)) or "nothing"
        change.tell("load_balancer.update", "load_balancer", load_balancer_id, f"Load balancer was changed: {changed}.")

    perform(deps, context, load_balancer_id, act, objection=own_objection)


def _check_vip_changes(deps: Deps, load_balancer_id: str, changes: Mapping[str, Any]) -> None:
    policy_id = changes.get("vip_qos_policy_id")
    if policy_id is not None:
        with deps.database.read() as connection:
            stored = load_balancers.qos_policy(connection, load_balancer_id)
        if policy_id != stored:
            vips.check_qos_policy(deps, policy_id)
    groups = changes.get("vip_sg_ids") or ()
    vips.check_security_groups(deps, groups)
    if groups:
        with deps.database.read() as connection:
            require(vip_rules.security_groups_fit(load_balancers.vnic_type(connection, load_balancer_id), groups))


def delete(deps: Deps, context: Context, load_balancer_id: str, *, cascade: bool) -> None:
    """Delete a load balancer, with `cascade` whatever it has. Twice changes nothing. Raises `Refused`."""
    place = place_of(deps, "load_balancer", load_balancer_id)
    strict = deps.settings.immutable_while_pending
    if leaving(deps, place):
        return

    def begin(connection: Connection, key: str) -> bool:
        return load_balancers.begin_delete(connection, key, strict=strict)

    def act(change: Change) -> None:
        if not cascade and load_balancers.has_children(change.connection, load_balancer_id):
            raise refuse(state_rules.has_children(load_balancer_id))
        change.require_mutable()
        change.tell("load_balancer.delete", "load_balancer", load_balancer_id, "Load balancer is being deleted.")

    perform(deps, context, load_balancer_id, act, begin=begin, objection=own_objection)
