"""Events: append, and read back oldest first."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, true

from livia.core.model.event import Event
from livia.store.aggregates import iso_time
from livia.store.tables import event, load_balancer
from livia.store.view import View

#: for questions about one load balancer: filter by `load_balancer_id`
VIEW = View(
    event,
    {
        **{name: event.c[name] for name in ("id", "object_type", "object_id", "severity", "code", "message")},
        "created_at": iso_time(event.c.created_at),
        "request_id": event.c.request_id,
    },
    extra={"load_balancer_id": event.c.load_balancer_id},
    live=true(),
    order=("id",),
)

TABLE = event
_ADD = insert(event)


def row(entry: Event, now: datetime) -> dict[str, Any]:
    """The row of one event at `now` (naive UTC)."""
    return {
        "load_balancer_id": entry.load_balancer_id,
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "severity": str(entry.severity),
        "code": entry.code,
        "message": entry.message,
        "request_id": entry.request_id,
        "created_at": now,
    }


def add(connection: Connection, entry: Event, now: datetime) -> None:
    """Append one event at `now` (naive UTC)."""
    connection.execute(_ADD, row(entry, now))


def of_load_balancer(
    connection: Connection, load_balancer_id: str, *, limit: int = 1000
) -> list[tuple[Event, datetime]]:
    """The last `limit` events of a load balancer, oldest first, each with its time."""
    return _last(connection, limit, event.c.load_balancer_id == load_balancer_id)


def newest(connection: Connection, *, named: str | None = None, limit: int) -> list[tuple[Event, datetime]]:
    """The last `limit` events, oldest first, each with its time: of all load balancers, or of those with this id or
    name, also of one that is gone."""
    if named is None:
        return _last(connection, limit)
    # Ids, not a subquery: the index of events begins with them, and a walk of all events would be long.
    known = connection.execute(select(load_balancer.c.id).where(load_balancer.c.name == named)).scalars().all()
    return _last(connection, limit, event.c.load_balancer_id.in_([named, *known]))


def _last(connection: Connection, limit: int, *which: ColumnElement[bool]) -> list[tuple[Event, datetime]]:
    query = select(event).where(*which).order_by(event.c.id.desc()).limit(limit)
    found = connection.execute(query).mappings()
    entries = [(Event(**{name: each[name] for name in Event.__struct_fields__}), each["created_at"]) for each in found]
    return entries[::-1]
