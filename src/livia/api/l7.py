"""L7 policies and their rules over HTTP (contract 50)."""

from livia.api.nested import Child
from livia.api.objects import Definition
from livia.api.wire.l7policy import L7POLICY
from livia.api.wire.l7rule import L7RULE
from livia.services import l7policies, l7rules
from livia.services.change import place_of
from livia.store import l7policies as policy_store
from livia.store import l7rules as rule_store

POLICY = Definition(
    resource=L7POLICY,
    view=policy_store.VIEW,
    kind="l7policy",
    create=l7policies.create,
    update=l7policies.update,
    delete=l7policies.delete,
    parent=lambda deps, values: place_of(deps, "listener", values["listener_id"]),
)
RULE = Child(
    resource=L7RULE,
    view=rule_store.VIEW,
    kind="l7rule",
    column="l7policy_id",
    parent=l7rules.policy_of,
    place=l7rules.place_in_policy,
    create=l7rules.create,
    update=l7rules.update,
    delete=l7rules.delete,
)
