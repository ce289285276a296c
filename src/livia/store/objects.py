"""What all children of a load balancer have in common: owner, parent, statuses, and how a change marks them."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Select, Table, Update, bindparam, case, insert, select, update

from livia.core.model.status import Provisioning
from livia.store import tables as t

TABLES: Mapping[str, Table] = {
    "load_balancer": t.load_balancer,
    "listener": t.listener,
    "pool": t.pool,
    "member": t.member,
    "health_monitor": t.health_monitor,
}
_DELETED = str(Provisioning.DELETED)
DELETING = str(Provisioning.PENDING_DELETE)


class Place(Struct, frozen=True):
    """Where an object belongs."""

    id: str
    load_balancer_id: str
    project_id: str
    provisioning_status: str


@cache
def _place(kind: str) -> Select[Any]:
    table = TABLES[kind]
    parent = table.c.id if kind == "load_balancer" else table.c.load_balancer_id
    return select(table.c.id, parent, table.c.project_id, table.c.provisioning_status).where(
        table.c.id == bindparam("id"), table.c.provisioning_status != _DELETED
    )


def place(connection: Connection, kind: str, object_id: str) -> Place | None:
    """Where an object belongs; None when it is unknown or DELETED."""
    row = connection.execute(_place(kind), {"id": object_id}).one_or_none()
    return None if row is None else Place(*row)


def values(connection: Connection, kind: str, object_id: str) -> dict[str, Any]:
    """All columns of an object that is known to be there."""
    table = TABLES[kind]
    return dict(connection.execute(select(table).where(table.c.id == object_id)).mappings().one())


@cache
def _mark(kind: str) -> Update:
    table = TABLES[kind]
    status = case(
        (table.c.provisioning_status.in_((Provisioning.PENDING_CREATE, DELETING)), table.c.provisioning_status),
        else_=str(Provisioning.PENDING_UPDATE),
    )
    return (
        update(table)
        .where(table.c.id == bindparam("target"))
        .values(provisioning_status=status, generation=bindparam("at"))
    )


def mark_changed(connection: Connection, kind: str, ids: Iterable[str], generation: int) -> None:
    """Objects touched by a change turn PENDING_UPDATE; those not created yet, or on their way out, stay so."""
    for object_id in ids:
        connection.execute(_mark(kind), {"target": object_id, "at": generation})


def mark_deleted(connection: Connection, kind: str, ids: Collection[str], generation: int, now: datetime) -> None:
    """Objects turn PENDING_DELETE; the confirmation of `generation` removes them."""
    table = TABLES[kind]
    for object_id in ids:
        connection.execute(
            update(table)
            .where(table.c.id == object_id)
            .values(provisioning_status=DELETING, generation=generation, updated_at=now)
        )


def add(connection: Connection, kind: str, columns: Mapping[str, Any]) -> None:
    """Insert the row of an object. Raises IntegrityError when its unique key is taken."""
    connection.execute(insert(TABLES[kind]).values(**columns))


def change(connection: Connection, kind: str, object_id: str, columns: Mapping[str, Any], now: datetime) -> None:
    """Write columns of an object."""
    table = TABLES[kind]
    connection.execute(update(table).where(table.c.id == object_id).values(**columns, updated_at=now))
