"""The status tree of a load balancer (contract 10, section 8): one statement, however large it is."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, select
from sqlalchemy.sql.elements import ColumnElement

from livia.store import tables as t
from livia.store.aggregates import joined, packed
from livia.store.listeners import REDIRECTING
from livia.store.literals import is_live, or_empty

_LB = t.load_balancer
#: what every object of the tree shows
_COMMON = ("id", "name", "operating_status", "provisioning_status")
_decode: Callable[[str], list[list[Any]]] = msgspec.json.Decoder(list[list[Any]]).decode


def _packed(table: Table, *more: str) -> packed:
    shown = (or_empty(table.c.name) if name == "name" else table.c[name] for name in _COMMON)
    return packed(*shown, *(table.c[name] for name in more))


def _all(table: Table, *more: str) -> ColumnElement[str]:
    """The rows of one kind, in creation order, joined by commas."""
    order = [table.c[name] for name in ("created_at", "ordinal", "id") if name in table.c]
    return joined(
        select(_packed(table, *more).label("value"))
        .where(table.c.load_balancer_id == _LB.c.id)
        .order_by(*order)
        .correlate(_LB)
    )


_TREE = select(
    _packed(_LB, "project_id"),
    _all(t.member, "ip_address", "protocol_port", "pool_id"),
    _all(t.health_monitor, "type", "pool_id"),
    _all(t.pool),
    _all(t.listener, "default_pool_id"),
    joined(
        select(packed(t.l7policy.c.listener_id, t.l7policy.c.redirect_pool_id).label("value"))
        .where(t.l7policy.c.load_balancer_id == _LB.c.id, t.l7policy.c.redirect_pool_id.is_not(None), REDIRECTING)
        .order_by(t.l7policy.c.position)
        .correlate(_LB)
    ),
).where(_LB.c.id == bindparam("id"), is_live(_LB))


def load(connection: Connection, load_balancer_id: str) -> tuple[str, dict[str, Any]] | None:
    """The load balancer's project, and the `loadbalancer` object of the tree; None when it is unknown or DELETED."""
    row = connection.execute(_TREE, {"id": load_balancer_id}).one_or_none()
    if row is None:
        return None
    ((*common, project_id),), *children = (_decode(f"[{text or ''}]") for text in row)
    members: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for *values, pool_id in children[0]:
        members[pool_id].append(_object(values, "address", "protocol_port"))
    monitors = {pool_id: _object(values, "type") for *values, pool_id in children[1]}
    pools = {}
    for values in children[2]:
        pool = pools[values[0]] = _object(values)
        pool["health_monitor"] = monitors.get(pool["id"])
        pool["members"] = members[pool["id"]]
    redirecting: dict[str, list[str]] = defaultdict(list)
    for listener_id, pool_id in children[4]:
        redirecting[listener_id].append(pool_id)
    listeners = []
    for *values, pool_id in children[3]:
        listener = _object(values)
        used = dict.fromkeys((pool_id, *redirecting[listener["id"]]))
        listener["pools"] = [pools[each] for each in used if each in pools]
        listeners.append(listener)
    return project_id, {**_object(common), "listeners": listeners}


def _object(values: list[Any], *more: str) -> dict[str, Any]:
    return dict(zip((*_COMMON, *more), values, strict=True))
