"""Rows of objects and all that hangs on them: children's tables before their parents'."""

from sqlalchemy import ColumnElement, Connection, Table, delete, select, update

from livia.store import tables as t

#: ids in one statement
_BATCH = 500


def drop(connection: Connection, table: Table, condition: ColumnElement[bool]) -> None:
    """Delete objects with whatever refers to them."""
    ids = list(connection.execute(select(table.c.id).where(condition)).scalars())
    for start in range(0, len(ids), _BATCH):
        _drop_ids(connection, table, ids[start : start + _BATCH])


def _drop_ids(connection: Connection, table: Table, ids: list[str]) -> None:
    if table is t.pool:
        drop(connection, t.member, t.member.c.pool_id.in_(ids))
        drop(connection, t.health_monitor, t.health_monitor.c.pool_id.in_(ids))
        connection.execute(delete(t.session_persistence).where(t.session_persistence.c.pool_id.in_(ids)))
        connection.execute(update(t.listener).where(t.listener.c.default_pool_id.in_(ids)).values(default_pool_id=None))
        connection.execute(
            update(t.l7policy).where(t.l7policy.c.redirect_pool_id.in_(ids)).values(redirect_pool_id=None)
        )
    elif table is t.listener:
        drop(connection, t.l7policy, t.l7policy.c.listener_id.in_(ids))
        for side in (t.listener_cidr, t.sni, t.listener_statistics):
            connection.execute(delete(side).where(side.c.listener_id.in_(ids)))
    elif table is t.l7policy:
        drop(connection, t.l7rule, t.l7rule.c.l7policy_id.in_(ids))
    connection.execute(delete(t.tags).where(t.tags.c.resource_id.in_(ids)))
    connection.execute(delete(table).where(table.c.id.in_(ids)))
