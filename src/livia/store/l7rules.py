"""L7 rules: the shown view and their rows."""

from sqlalchemy import Connection, func, select

from livia.store import tables as t
from livia.store.objects import DELETING
from livia.store.view import View, object_columns

_R = t.l7rule

VIEW = View(
    _R,
    {
        **object_columns(_R),
        "type": _R.c.type,
        "compare_type": _R.c.compare_type,
        "key": _R.c.key,
        "value": _R.c.value,
        "invert": _R.c.invert,
    },
    extra={"l7policy_id": _R.c.l7policy_id, "load_balancer_id": _R.c.load_balancer_id},
)


def in_policy(connection: Connection, rule_id: str, policy_id: str) -> bool:
    """Whether the rule belongs to the policy."""
    return connection.execute(select(_R.c.l7policy_id).where(_R.c.id == rule_id)).scalar_one_or_none() == policy_id


def of_policy(connection: Connection, policy_id: str) -> list[str]:
    """The ids of a policy's rules, those being deleted included."""
    return list(connection.execute(select(_R.c.id).where(_R.c.l7policy_id == policy_id)).scalars())


def number(connection: Connection, policy_id: str) -> int:
    """How many rules a policy has and keeps."""
    return connection.execute(
        select(func.count()).select_from(_R).where(_R.c.l7policy_id == policy_id, _R.c.provisioning_status != DELETING)
    ).scalar_one()
