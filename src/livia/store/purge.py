"""Removal for good of rows that are DELETED long enough (contract 95, section 9)."""

from datetime import datetime

from sqlalchemy import Connection, Select, delete, select

from livia.core.model.status import AmphoraStatus, Provisioning
from livia.store import tables as t

#: rows in one go: a purge never holds the tables for long
_BATCH = 500


def amphorae(connection: Connection, before: datetime) -> int:
    """Purge amphora rows DELETED before a moment. How many went."""
    old = (
        select(t.amphora.c.id)
        .where(t.amphora.c.status == AmphoraStatus.DELETED, t.amphora.c.updated_at < before)
        .limit(_BATCH)
    )
    ids = _ids(connection, old)
    connection.execute(delete(t.amphora).where(t.amphora.c.id.in_(ids)))
    return len(ids)


def load_balancers(connection: Connection, before: datetime) -> int:
    """Purge load balancers DELETED before a moment, with their events and leases. How many went."""
    old = (
        select(t.load_balancer.c.id)
        .where(
            t.load_balancer.c.provisioning_status == Provisioning.DELETED,
            t.load_balancer.c.updated_at < before,
            # An amphora row refers to it until it is purged itself.
            ~select(t.amphora.c.id).where(t.amphora.c.load_balancer_id == t.load_balancer.c.id).exists(),
        )
        .limit(_BATCH)
    )
    ids = _ids(connection, old)
    connection.execute(delete(t.event).where(t.event.c.load_balancer_id.in_(ids)))
    connection.execute(delete(t.lease).where(t.lease.c.key.in_(ids)))
    connection.execute(delete(t.listener_statistics).where(t.listener_statistics.c.load_balancer_id.in_(ids)))
    # A worker that was slow may have bound something since the load balancer went.
    connection.execute(delete(t.bound_material).where(t.bound_material.c.load_balancer_id.in_(ids)))
    connection.execute(delete(t.load_balancer).where(t.load_balancer.c.id.in_(ids)))
    return len(ids)


def answers(connection: Connection, before: datetime) -> int:
    """Forget answers given before a moment. How many went."""
    old = select(t.idempotency.c.id).where(t.idempotency.c.created_at < before).limit(_BATCH)
    ids = _ids(connection, old)
    connection.execute(delete(t.idempotency).where(t.idempotency.c.id.in_(ids)))
    return len(ids)


def _ids(connection: Connection, query: Select[str]) -> list[str]:
    return list(connection.execute(query).scalars())
