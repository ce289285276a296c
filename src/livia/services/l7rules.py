"""Use cases of L7 rules (contract 50, section 2)."""

from collections.abc import Mapping
from typing import Any

from livia.core.model.l7 import MOST_RULES
from livia.core.rules import l7
from livia.core.rules.state import no_parent, not_found
from livia.services import quotas
from livia.services.change import Change, leaving, perform
from livia.services.context import Context, Deps, Refused, refuse, require
from livia.store import l7rules, objects

_COLUMNS = {"admin_state_up": "enabled", **{name: name for name in ("type", "compare_type", "key", "value", "invert")}}


def policy_of(deps: Deps, policy_id: str) -> objects.Place:
    """Where the policy that a path names belongs. Raises the 404."""
    with deps.database.read() as connection:
        found = objects.place(connection, "l7policy", policy_id)
    if found is None:
        raise refuse(no_parent("l7policy", policy_id))
    return found


def place_in_policy(deps: Deps, policy_id: str, rule_id: str) -> objects.Place:
    """Where a rule of this policy belongs. Raises the 404s, also for a rule of another policy."""
    with deps.database.read() as connection:
        found = objects.place(connection, "l7rule", rule_id)
        if found is not None and l7rules.in_policy(connection, rule_id, policy_id):
            return found
    policy_of(deps, policy_id)
    raise refuse(not_found("l7rule", rule_id))


def create(deps: Deps, context: Context, policy_id: str, values: Mapping[str, Any]) -> str:
    """Create a rule from complete values of the wire. Its id. Raises `Refused`."""
    place = policy_of(deps, policy_id)

    def act(change: Change) -> str:
        policy = change.place("l7policy", policy_id)
        require(l7.rule_acceptable(values))
        require_room(policy_id, l7rules.number(change.connection, policy_id) + 1)
        quotas.take(change, {"l7rule": 1})
        listener_id = _require_mutable(change, policy)
        rule_id = add(change, policy_id, values)
        _mark(change, policy_id, listener_id)
        return rule_id

    return perform(deps, context, place.load_balancer_id, act)


def add(change: Change, policy_id: str, values: Mapping[str, Any], *, ordinal: int = 0) -> str:
    """Check and insert a rule. Its id. Raises `Refused`."""
    require(l7.rule_acceptable(values))
    return change.add("l7rule", {**columns(values), "l7policy_id": policy_id}, values["tags"], ordinal=ordinal)


def update(deps: Deps, context: Context, policy_id: str, rule_id: str, changes: Mapping[str, Any]) -> None:
    """Change a rule. `changes`: what the request sets, nulls that mean a default resolved. Raises `Refused`."""
    place = place_in_policy(deps, policy_id, rule_id)

    def act(change: Change) -> None:
        rule = change.place("l7rule", rule_id)
        stored = objects.values(change.connection, "l7rule", rule_id)
        wanted = l7.with_key_cleared(changes, stored["type"])
        require(l7.rule_acceptable({**stored, **wanted}))
        listener_id = _require_mutable(change, change.place("l7policy", policy_id))
        if rule.provisioning_status == objects.DELETING:
            raise Refused(409, f"L7Policy {policy_id} is immutable and cannot be updated.")
        change.update("l7rule", rule_id, columns(wanted), changes)
        _mark(change, policy_id, listener_id)

    perform(deps, context, place.load_balancer_id, act)


def delete(deps: Deps, context: Context, policy_id: str, rule_id: str) -> None:
    """Delete a rule. Twice changes nothing. Raises `Refused`."""
    place = place_in_policy(deps, policy_id, rule_id)
    if leaving(deps, place):
        return

    def act(change: Change) -> None:
        change.place("l7rule", rule_id)
        listener_id = _require_mutable(change, change.place("l7policy", policy_id))
        change.delete("l7rule", (rule_id,))
        _mark(change, policy_id, listener_id)

    perform(deps, context, place.load_balancer_id, act)


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of table `l7rule` for values of the wire."""
    return {_COLUMNS[name]: value for name, value in values.items() if name in _COLUMNS}


def require_room(policy_id: str, number: int) -> None:
    """Raise the 409 of a policy that would have too many rules."""
    if number > MOST_RULES:
        raise Refused(409, f"Too many rules on L7 policy {policy_id}")


def _require_mutable(change: Change, policy: objects.Place) -> str:
    """Raise the 409s. The policy's listener."""
    listener_id: str = objects.values(change.connection, "l7policy", policy.id)["listener_id"]
    change.require_mutable_policy(policy, change.place("listener", listener_id))
    return listener_id


def _mark(change: Change, policy_id: str, listener_id: str) -> None:
    """What a rule's change locks (contract 00, section 14.2)."""
    change.mark("l7policy", (policy_id,))
    change.mark("listener", (listener_id,))
