"""Use cases of L7 policies (contract 50, section 1)."""

from collections.abc import Mapping
from typing import Any

from livia.core.rules import l7, protocols
from livia.core.rules.state import immutable
from livia.core.rules.verdict import Refuse
from livia.services import l7rules, quotas
from livia.services.change import Change, leaving, perform, place_of
from livia.services.context import Context, Deps, Refused, refuse, require
from livia.services.listeners import check_pool
from livia.store import l7policies, objects
from livia.store import l7rules as rule_store

_COLUMNS = {
    "admin_state_up": "enabled",
    **{
        name: name
        for name in (
            "name",
            "description",
            "action",
            "redirect_pool_id",
            "redirect_url",
            "redirect_prefix",
            "redirect_http_code",
        )
    },
}


def create(deps: Deps, context: Context, values: Mapping[str, Any]) -> str:
    """Create a policy, perhaps with rules, from complete values of the wire. Its id. Raises `Refused`."""
    place = place_of(deps, "listener", values["listener_id"])

    def act(change: Change) -> str:
        listener = change.place("listener", place.id)
        protocol = objects.values(change.connection, "listener", place.id)["protocol"]
        require(protocols.no_children(protocol))
        check_pool(change, protocol, values["redirect_pool_id"])
        quotas.take(change, {"l7policy": 1, "l7rule": len(values["rules"])})
        change.require_mutable_listener(listener)
        position = l7policies.make_room(change.connection, place.id, values["position"])
        policy_id = add(change, place.id, protocol, values, position)
        change.mark("listener", (place.id,))
        return policy_id

    return perform(deps, context, place.load_balancer_id, act)


def add(change: Change, listener_id: str, protocol: str, values: Mapping[str, Any], position: int) -> str:
    """Check and insert a policy with its rules; its pool is known to fit. Its id. Raises `Refused`."""
    target = _target(values)
    change.require_supported("l7 policy", {"listener_protocol": protocol})
    row = {**columns({**values, **target}), "listener_id": listener_id, "position": position}
    policy_id = change.add("l7policy", row, values["tags"])
    l7rules.require_room(policy_id, len(values["rules"]))
    for ordinal, rule in enumerate(values["rules"]):
        l7rules.add(change, policy_id, rule, ordinal=ordinal)
    return policy_id


def update(deps: Deps, context: Context, policy_id: str, changes: Mapping[str, Any]) -> None:
    """Change a policy. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_of(deps, "l7policy", policy_id)
    if not changes:
        raise Refused(400, "Invalid L7 Policy arguments: Invalid update options")

    def act(change: Change) -> None:
        policy = change.place("l7policy", policy_id)
        stored = objects.values(change.connection, "l7policy", policy_id)
        listener = change.place("listener", stored["listener_id"])
        target = _target(changes, stored["action"])
        protocol = objects.values(change.connection, "listener", listener.id)["protocol"]
        check_pool(change, protocol, changes.get("redirect_pool_id"))
        _require_mutable(change, policy, listener)
        change.update("l7policy", policy_id, columns(_without_target(changes) | target), changes)
        if changes.get("position") not in (None, stored["position"]):
            l7policies.move(change.connection, listener.id, policy_id, changes["position"])
        change.mark("listener", (listener.id,))

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, policy_id: str) -> None:
    """Delete a policy with its rules. Twice changes nothing. Raises `Refused`."""
    place = place_of(deps, "l7policy", policy_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        policy = change.place("l7policy", policy_id)
        listener_id = objects.values(change.connection, "l7policy", policy_id)["listener_id"]
        _require_mutable(change, policy, change.place("listener", listener_id))
        change.delete("l7rule", rule_store.of_policy(change.connection, policy_id))
        change.delete("l7policy", (policy_id,))
        change.mark("listener", (listener_id,))

    perform(deps, context, place.load_balancer_id, act)


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `l7policy` for values of the wire; its position is set by itself."""
    return {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}


def _target(given: Mapping[str, Any], stored_action: str | None = None) -> dict[str, Any]:
    found = l7.target(given, stored_action)
    if isinstance(found, Refuse):
        raise refuse(found)
    return found


def _without_target(changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a request changes besides the action and what goes with it."""
    return {name: value for name, value in changes.items() if name != "action" and not name.startswith("redirect_")}


def _require_mutable(change: Change, policy: objects.Place, listener: objects.Place) -> None:
    change.require_mutable_listener(listener)
    if policy.provisioning_status == objects.DELETING:
        raise refuse(immutable("load_balancer", change.state.id))
