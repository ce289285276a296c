"""Removal for good of rows that are DELETED long enough (contract 95, section 9), and of what is told no more.

In batches: ids are found first, by a read that locks nothing, and dropped by a short transaction that looks at each
again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, select

from livia.core.model.status import AmphoraStatus, Provisioning
from livia.store import tables as t

#: rows in one go: a purge never holds the tables for long
BATCH = 500

_Ids = list[Any]


class Old(Struct, frozen=True):
    """Rows of one kind. `find`: ids of at most `BATCH` that are from before a moment (naive UTC). `drop`: removes those
    of them that still are; how many went."""

    find: Callable[[Connection, datetime], _Ids]
    drop: Callable[[Connection, Sequence[Any], datetime], int]


def _old_amphora(before: datetime) -> ColumnElement[bool]:
    return (t.amphora.c.status == AmphoraStatus.DELETED) & (t.amphora.c.updated_at < before)


def _find_amphorae(connection: Connection, before: datetime) -> _Ids:
    return list(connection.execute(select(t.amphora.c.id).where(_old_amphora(before)).limit(BATCH)).scalars())


def _drop_amphorae(connection: Connection, ids: Sequence[Any], before: datetime) -> int:
    """With the leases of those that had no load balancer, and what a worker that was slow confirmed of them last."""
    gone = connection.execute(delete(t.amphora).where(t.amphora.c.id.in_(ids), _old_amphora(before))).rowcount
    for key in (t.lease.c.key, t.amphora_health.c.amphora_id):
        there_is_one = select(t.amphora.c.id).where(t.amphora.c.id == key).exists()
        connection.execute(delete(key.table).where(key.in_(ids), ~there_is_one))
    return gone


def _old_load_balancer(before: datetime) -> ColumnElement[bool]:
    table = t.load_balancer
    return (table.c.provisioning_status == Provisioning.DELETED) & (table.c.updated_at < before)


def _unreferred() -> ColumnElement[bool]:
    """An amphora row refers to its load balancer until it is purged itself."""
    return ~select(t.amphora.c.id).where(t.amphora.c.load_balancer_id == t.load_balancer.c.id).exists()


def _find_load_balancers(connection: Connection, before: datetime) -> _Ids:
    old = select(t.load_balancer.c.id).where(_old_load_balancer(before), _unreferred()).limit(BATCH)
    return list(connection.execute(old).scalars())


def _drop_load_balancers(connection: Connection, ids: Sequence[Any], _before: datetime) -> int:
    """With their last events, and their leases."""
    connection.execute(delete(t.event).where(t.event.c.load_balancer_id.in_(ids)))
    connection.execute(delete(t.lease).where(t.lease.c.key.in_(ids)))
    connection.execute(delete(t.listener_statistics).where(t.listener_statistics.c.load_balancer_id.in_(ids)))
    # A worker that was slow may have bound something since the load balancer went.
    connection.execute(delete(t.bound_material).where(t.bound_material.c.load_balancer_id.in_(ids)))
    # No row that is DELETED comes back.
    return connection.execute(delete(t.load_balancer).where(t.load_balancer.c.id.in_(ids))).rowcount


def _find_events_of_deleted(connection: Connection, before: datetime) -> _Ids:
    owners = select(t.load_balancer.c.id).where(_old_load_balancer(before))
    old = select(t.event.c.id).where(t.event.c.load_balancer_id.in_(owners)).limit(BATCH)
    return list(connection.execute(old).scalars())


def _find_events(connection: Connection, before: datetime) -> _Ids:
    """In the order of their ids, which is that of time: what is young is never looked at."""
    oldest = connection.execute(select(t.event.c.id, t.event.c.created_at).order_by(t.event.c.id).limit(BATCH))
    return [row.id for row in oldest if row.created_at < before]


def _drop_events(connection: Connection, ids: Sequence[Any], _before: datetime) -> int:
    return connection.execute(delete(t.event).where(t.event.c.id.in_(ids))).rowcount


def _find_answers(connection: Connection, before: datetime) -> _Ids:
    old = select(t.idempotency.c.id).where(t.idempotency.c.created_at < before).limit(BATCH)
    return list(connection.execute(old).scalars())


def _drop_answers(connection: Connection, ids: Sequence[Any], before: datetime) -> int:
    # A key may have got another answer meanwhile.
    old = (t.idempotency.c.id.in_(ids), t.idempotency.c.created_at < before)
    return connection.execute(delete(t.idempotency).where(*old)).rowcount


#: amphora rows that are DELETED
AMPHORAE = Old(_find_amphorae, _drop_amphorae)
#: load balancers that are DELETED and that no amphora row refers to
LOAD_BALANCERS = Old(_find_load_balancers, _drop_load_balancers)
#: events of load balancers that are DELETED since before the moment
EVENTS_OF_DELETED = Old(_find_events_of_deleted, _drop_events)
#: events of whatever load balancer
EVENTS = Old(_find_events, _drop_events)
#: answers to requests that brought an Idempotency-Key
ANSWERS = Old(_find_answers, _drop_answers)
