"""What health writes: operating statuses that changed, counters that grew, the time of the last heartbeat."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from msgspec import json
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Insert,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.compiler import SQLCompiler

from livia.core.model.status import AmphoraStatus, Operating
from livia.store.tables import amphora, amphora_health, listener, listener_statistics
from livia.store.upsert import upsert

_Key = TypeVar("_Key", str, tuple[str, str])

#: ids in one statement (design, section 4)
BATCH = 1000
#: columns of `listener_statistics` that only grow
COUNTED = ("bytes_in", "bytes_out", "total_connections", "request_errors")


def set_operating_status(connection: Connection, table: Table, statuses: Mapping[str, Operating]) -> None:
    """Write the operating status of each id, of however many load balancers; one statement per status and batch."""
    groups: dict[Operating, list[str]] = defaultdict(list)
    for key, status in statuses.items():
        groups[status].append(key)
    for status, ids in groups.items():
        for batch in batches(ids):
            connection.execute(
                update(table)
                .where(table.c.id.in_(batch), table.c.operating_status != status)
                .values(operating_status=str(status))
            )


def set_vip_holders(connection: Connection, holders: Mapping[str, bool]) -> None:
    """Which amphorae have their VIP, as they say themselves."""
    for holds_vip in (True, False):
        for batch in batches(key for key, holds in holders.items() if holds is holds_vip):
            connection.execute(
                update(amphora)
                .where(amphora.c.id.in_(batch), amphora.c.holds_vip != holds_vip)
                .values(holds_vip=holds_vip)
            )


def touch(connection: Connection, batch: list[str], now: datetime) -> None:
    """These amphorae were heard: at most a thousand sorted ids."""
    dialect = connection.dialect.name
    connection.execute(_touching(dialect), {"ids": _ids(dialect, batch), "now": now})


@cache
def _touching(dialect: str) -> Executable:
    heard = _among(dialect, amphora_health.c.amphora_id)
    return update(amphora_health).where(heard).values(last_update=bindparam("now"))


def add_counters(connection: Connection, counts: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Add to the counters of (listener id, amphora id), at most a thousand.

    `counts`: the columns of `COUNTED`, by how much each grew, and `active_connections`, the number open now.
    """
    _count(connection, _adding(connection.dialect.name), counts)


def raise_counters(connection: Connection, counts: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Bring the counters of (listener id, amphora id), at most a thousand, up to totals.

    Messages may come twice, late or through another health manager: counters never go back.
    """
    _count(connection, _raising(connection.dialect.name), counts)


def replace_counters(connection: Connection, counts: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Set the counters of (listener id, amphora id), at most a thousand, to what is told (contract 95, section 2.2)."""
    _count(connection, _replacing(connection.dialect.name), counts)


def _count(connection: Connection, statement: Insert, counts: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    amphorae = {
        key: (owner, status) for key, owner, status in _found(connection, _amphorae, (key[1] for key in counts))
    }
    listeners = dict(_found(connection, _listeners, (key[0] for key in counts)))
    rows = [
        _row(key, counts[key], *amphorae[key[1]])
        for key in sorted(counts)
        # Of a listener that was deleted meanwhile nothing is kept.
        if key[1] in amphorae and listeners.get(key[0]) == amphorae[key[1]][0]
    ]
    if rows:
        _send(connection, statement, rows)


def _send(connection: Connection, statement: Insert, rows: list[dict[str, Any]]) -> None:
    """One statement with many rows of whole numbers and texts, which drivers take as they are: SQLAlchemy would look at
    each value of each."""
    compiled = _compiled(statement, connection.dialect)
    order = compiled.positiontup
    values = rows if order is None else [tuple(row[name] for name in order) for row in rows]
    connection.exec_driver_sql(str(compiled), values)


@cache
def _compiled(statement: Insert, dialect: Dialect) -> SQLCompiler:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - it is no DDL
    return compiled


def _found(connection: Connection, query: Callable[[str], Executable], ids: Iterable[str]) -> Sequence[Any]:
    dialect = connection.dialect.name
    return connection.execute(query(dialect), {"ids": _ids(dialect, sorted(set(ids)))}).all()


@cache
def _amphorae(dialect: str) -> Executable:
    return select(amphora.c.id, amphora.c.load_balancer_id, amphora.c.status).where(_among(dialect, amphora.c.id))


@cache
def _listeners(dialect: str) -> Executable:
    return select(listener.c.id, listener.c.load_balancer_id).where(_among(dialect, listener.c.id))


def _among(dialect: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether it is one of `ids`. SQLite takes them as one value: a thousand cost more to bind than to find."""
    if dialect == "sqlite":
        return column.in_(select(func.json_each(bindparam("ids")).table_valued("value").c.value))
    return column.in_(bindparam("ids", expanding=True))


def _ids(dialect: str, ids: list[str]) -> str | list[str]:
    return json.encode(ids).decode() if dialect == "sqlite" else ids


def _row(key: tuple[str, str], count: Mapping[str, int], load_balancer_id: str, status: str) -> dict[str, object]:
    row = {"listener_id": key[0], "amphora_id": key[1], "load_balancer_id": load_balancer_id, **count}
    if status == AmphoraStatus.DELETED:
        # The last words of an amphora may come after it was deleted: nothing is open there (contract 20, section 10).
        row["active_connections"] = 0
    return row


@cache
def _adding(dialect: str) -> Insert:
    row = listener_statistics.c
    return _upsert(dialect, {name: row[name] + _new(dialect, name) for name in COUNTED})


@cache
def _raising(dialect: str) -> Insert:
    row = listener_statistics.c
    greater = func.max if dialect == "sqlite" else func.greatest
    return _upsert(dialect, {name: greater(row[name], _new(dialect, name)) for name in COUNTED})


@cache
def _replacing(dialect: str) -> Insert:
    return _upsert(dialect, {name: _new(dialect, name) for name in COUNTED})


def _upsert(dialect: str, change: Mapping[str, Any]) -> Insert:
    columns = ("listener_id", "amphora_id", "load_balancer_id", "active_connections", *COUNTED)
    row: dict[str, Any] = {name: bindparam(name) for name in columns}
    now = {"active_connections": _new(dialect, "active_connections")}
    return upsert(dialect, listener_statistics, row, {**change, **now})


def _new(dialect: str, column: str) -> ColumnElement[int]:
    """The value that could not be inserted: by this name, drivers send many rows in one statement."""
    return literal_column(f"VALUES({column})" if dialect in ("mysql", "mariadb") else f"excluded.{column}")


def batches(ids: Iterable[_Key]) -> Iterable[list[_Key]]:
    """Sorted ids or tuples of them, a thousand at most in each: rows are locked in one order by everybody."""
    ordered = sorted(ids)
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))
