"""The status tree of a load balancer (contract 10, section 8): four statements, however large it is."""

from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Table, func, select

from livia.core.model.status import Provisioning
from livia.store import tables as t


def load(connection: Connection, load_balancer_id: str) -> dict[str, Any] | None:
    """The `loadbalancer` object of the tree; None when it is unknown or DELETED."""
    lb = t.load_balancer
    found = connection.execute(
        select(*_common(lb)).where(lb.c.id == load_balancer_id, lb.c.provisioning_status != str(Provisioning.DELETED))
    ).one_or_none()
    if found is None:
        return None
    members: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(connection, t.member, load_balancer_id, "pool_id", "ip_address", "protocol_port"):
        entry = dict(row)
        entry["address"] = entry.pop("ip_address")
        members[entry.pop("pool_id")].append(entry)
    monitors = {
        row.pop("pool_id"): row for row in _rows(connection, t.health_monitor, load_balancer_id, "pool_id", "type")
    }
    pools = {row["id"]: row for row in _rows(connection, t.pool, load_balancer_id)}
    for pool_id, pool in pools.items():
        pool["health_monitor"] = monitors.get(pool_id)
        pool["members"] = members[pool_id]
    listeners = _rows(connection, t.listener, load_balancer_id, "default_pool_id")
    for listener in listeners:
        pool_id = listener.pop("default_pool_id")
        listener["pools"] = [pools[pool_id]] if pool_id in pools else []
    return {**found._mapping, "listeners": listeners}


def _common(table: Table) -> list[Any]:
    return [
        table.c.id,
        func.coalesce(table.c.name, "").label("name"),
        table.c.operating_status,
        table.c.provisioning_status,
    ]


def _rows(connection: Connection, table: Table, load_balancer_id: str, *extra: str) -> list[dict[str, Any]]:
    order = [table.c[name] for name in ("created_at", "ordinal", "id") if name in table.c]
    rows = connection.execute(
        select(*_common(table), *(table.c[name] for name in extra))
        .where(table.c.load_balancer_id == load_balancer_id)
        .order_by(*order)
    )
    return [dict(row) for row in rows.mappings()]
