"""What all children of a load balancer have in common: owner, parent, statuses, and how a change marks them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Case, ColumnElement, Connection, Select, Table, Update, bindparam, case, select, update

from livia.core.model.status import Provisioning
from livia.store import tables as t
from livia.store.aggregates import packed
from livia.store.literals import is_live, word, words
from livia.store.packing import reader

TABLES: Mapping[str, Table] = {
    "load_balancer": t.load_balancer,
    "listener": t.listener,
    "pool": t.pool,
    "member": t.member,
    "health_monitor": t.health_monitor,
    "l7policy": t.l7policy,
    "l7rule": t.l7rule,
}
DELETING = str(Provisioning.PENDING_DELETE)
#: ids in one statement (design, section 4)
_MOST_IDS = 1000


class Place(Struct, frozen=True):
    """Where an object belongs."""

    id: str
    load_balancer_id: str
    project_id: str
    provisioning_status: str


def _place_columns(kind: str) -> tuple[ColumnElement[Any], ...]:
    columns = TABLES[kind].c
    parent = columns.id if kind == "load_balancer" else columns.load_balancer_id
    return columns.id, parent, columns.project_id, columns.provisioning_status


@cache
def _place(kind: str) -> Select[Any]:
    table = TABLES[kind]
    return select(packed(*_place_columns(kind))).where(table.c.id == bindparam("id"), is_live(table))


#: of every kind: all are texts
_read_place = reader(_place_columns("load_balancer"))


def place(connection: Connection, kind: str, object_id: str) -> Place | None:
    """Where an object belongs; None when it is unknown or DELETED."""
    text = connection.execute(_place(kind), {"id": object_id}).scalar_one_or_none()
    return None if text is None else Place(*_read_place(text))


@cache
def _values(kind: str) -> Select[Any]:
    table = TABLES[kind]
    return select(table).where(table.c.id == bindparam("id"))


def values(connection: Connection, kind: str, object_id: str) -> dict[str, Any]:
    """All columns of an object that is known to be there."""
    return dict(connection.execute(_values(kind), {"id": object_id}).mappings().one())


def _status(table: Table) -> Case[Any]:
    """What a changed object's status becomes: one not created yet, or on its way out, stays so."""
    status = table.c.provisioning_status
    stays = status.in_(words((Provisioning.PENDING_CREATE, Provisioning.PENDING_DELETE)))
    return case((stays, status), else_=word(Provisioning.PENDING_UPDATE))


def _generation(of: Update) -> Update:
    return of.values(generation=bindparam("at"))


@cache
def _mark(kind: str) -> Update:
    table = TABLES[kind]
    return _generation(update(table).where(_among(table)).values(provisioning_status=_status(table)))


@cache
def _mark_deleted(kind: str) -> Update:
    table = TABLES[kind]
    marked = update(table).where(_among(table))
    return _generation(marked.values(provisioning_status=word(DELETING), updated_at=bindparam("now")))


@cache
def _change(kind: str, names: tuple[str, ...]) -> Update:
    table = TABLES[kind]
    changed = update(table).where(table.c.id == bindparam("target")).values(provisioning_status=_status(table))
    return _generation(changed.values({name: bindparam(f"new_{name}") for name in names}))


def _among(table: Table) -> ColumnElement[bool]:
    return table.c.id.in_(bindparam("ids", expanding=True))


def mark_changed(connection: Connection, kind: str, ids: Iterable[str], generation: int) -> None:
    """Objects touched by a change turn PENDING_UPDATE; those not created yet, or on their way out, stay so."""
    for some in _some(ids):
        connection.execute(_mark(kind), {"ids": some, "at": generation})


def mark_deleted(connection: Connection, kind: str, ids: Iterable[str], generation: int, now: datetime) -> None:
    """Objects turn PENDING_DELETE; the confirmation of `generation` removes them."""
    for some in _some(ids):
        connection.execute(_mark_deleted(kind), {"ids": some, "at": generation, "now": now})


def change(connection: Connection, kind: str, rows: Mapping[str, Mapping[str, Any]], generation: int) -> None:
    """Write columns of objects, by id, and mark them changed. All rows have the same columns."""
    names = tuple(next(iter(rows.values())))
    values = [
        {"target": object_id, "at": generation, **{f"new_{name}": value for name, value in row.items()}}
        for object_id, row in rows.items()
    ]
    connection.execute(_change(kind, names), values if len(values) > 1 else values[0])


def _some(ids: Iterable[str]) -> Iterator[list[str]]:
    """As many ids as one statement takes, in one order, so that two changes lock rows in the same order."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), _MOST_IDS):
        yield ordered[start : start + _MOST_IDS]
