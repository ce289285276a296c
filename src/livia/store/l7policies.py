"""L7 policies: the shown view, their order on a listener, and their rules."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select, update

from livia.store import tables as t
from livia.store.view import View, ids_of, object_columns

_P = t.l7policy

VIEW = View(
    _P,
    {
        **object_columns(_P),
        "action": _P.c.action,
        "listener_id": _P.c.listener_id,
        "redirect_pool_id": _P.c.redirect_pool_id,
        "redirect_url": _P.c.redirect_url,
        "redirect_prefix": _P.c.redirect_prefix,
        "redirect_http_code": _P.c.redirect_http_code,
        "position": _P.c.position,
        "rules": ids_of(t.l7rule, t.l7rule.c.l7policy_id == _P.c.id, _P),
    },
    extra={"load_balancer_id": _P.c.load_balancer_id},
)


def make_room(connection: Connection, listener_id: str, wanted: int) -> int:
    """The position of a new policy: the wanted one, from which others move up, or behind the last.

    The load balancer's row is locked: nobody else counts meanwhile (services/change.py).
    """
    ours = _P.c.listener_id == listener_id
    following = connection.execute(select(func.count()).select_from(_P).where(ours)).scalar_one() + 1
    if wanted >= following:
        return int(following)
    connection.execute(update(_P).where(ours, _P.c.position >= wanted).values(position=_P.c.position + 1))
    return wanted


def move(connection: Connection, listener_id: str, policy_id: str, wanted: int) -> None:
    """Give a policy another position; beyond the end: the last. The others keep their order."""
    order = [each for each in _order(connection, listener_id) if each != policy_id]
    order.insert(wanted - 1, policy_id)
    _number(connection, order)


def close_gaps(connection: Connection, listener_id: str) -> None:
    """Number the policies from 1 again, after some have gone."""
    _number(connection, _order(connection, listener_id))


def _order(connection: Connection, listener_id: str) -> Sequence[str]:
    return (
        connection.execute(select(_P.c.id).where(_P.c.listener_id == listener_id).order_by(_P.c.position, _P.c.id))
        .scalars()
        .all()
    )


def _number(connection: Connection, order: Sequence[str]) -> None:
    for position, policy_id in enumerate(order, 1):
        connection.execute(update(_P).where(_P.c.id == policy_id, _P.c.position != position).values(position=position))


def of_listener(connection: Connection, listener_id: str) -> dict[str, list[str]]:
    """Kind to the ids of the policies of a listener and of their rules."""
    policies = list(connection.execute(select(_P.c.id).where(_P.c.listener_id == listener_id)).scalars())
    rules = select(t.l7rule.c.id).join_from(t.l7rule, _P, _P.c.id == t.l7rule.c.l7policy_id)
    return {
        "l7rule": list(connection.execute(rules.where(_P.c.listener_id == listener_id)).scalars()),
        "l7policy": policies,
    }
