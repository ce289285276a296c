"""Filling a database: one load balancer made through the API, copied row by row in SQL.

The rows are found by the table and column names that both services share (contract 98); whatever other columns
there are is copied as it is. So both databases hold the same, and filling one takes seconds.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, MetaData, Table, insert, select, update

from benchmarks.subject import Subject

#: table, and what says that a row belongs to a load balancer: the column, and whose ids it holds
_TABLES = (
    ("load_balancer", "id", "load_balancer"),
    ("vip", "load_balancer_id", "load_balancer"),
    ("pool", "load_balancer_id", "load_balancer"),
    ("listener", "load_balancer_id", "load_balancer"),
    ("member", "pool_id", "pool"),
    ("amphora", "load_balancer_id", "load_balancer"),
    ("amphora_health", "amphora_id", "amphora"),
)
_CHUNK = 500


class Copies:
    """Makes copies of load balancers of one service."""

    def __init__(self, subject: Subject) -> None:
        self._engine = subject.engine
        metadata = MetaData()
        metadata.reflect(self._engine, only=[name for name, _column, _owner in _TABLES], resolve_fks=False)
        self._tables: dict[str, Table] = {name: metadata.tables[name] for name, _column, _owner in _TABLES}

    def settle(self, load_balancer_id: str) -> None:
        """What workers do when a change is done: the load balancer and all it has turn ACTIVE."""
        with self._engine.begin() as connection:
            for name, rows in self._rows(connection, load_balancer_id).items():
                table = self._tables[name]
                if "provisioning_status" in table.c:
                    ids = [row["id"] for row in rows]
                    connection.execute(update(table).where(table.c.id.in_(ids)).values(provisioning_status="ACTIVE"))

    def make(self, load_balancer_id: str, count: int, *, project: str | None = None) -> list[dict[str, str]]:
        """That many copies, of another project if one is named. For each: old id to new id."""
        made: list[dict[str, str]] = []
        with self._engine.begin() as connection:
            found = self._rows(connection, load_balancer_id)
            for start in range(0, count, _CHUNK):
                numbers = range(start, min(count, start + _CHUNK))
                ids = [
                    {row["id"]: str(uuid4()) for rows in found.values() for row in rows if "id" in row} for _ in numbers
                ]
                for name, rows in found.items():
                    copies = [
                        _copied(row, new, number, project)
                        for number, new in zip(numbers, ids, strict=True)
                        for row in rows
                    ]
                    if copies:
                        connection.execute(insert(self._tables[name]), copies)
                made += ids
        return made

    def _rows(self, connection: Connection, load_balancer_id: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for name, column, owner in _TABLES:
            table = self._tables[name]
            owners = [load_balancer_id] if owner == "load_balancer" else [row["id"] for row in found[owner]]
            rows = connection.execute(select(table).where(table.c[column].in_(owners))).mappings()
            found[name] = [dict(row) for row in rows]
        return found


def _copied(row: dict[str, Any], new: dict[str, str], number: int, project: str | None) -> dict[str, Any]:
    copy: dict[str, Any] = {
        name: new.get(value, value) if isinstance(value, str) else value for name, value in row.items()
    }
    if project is not None and "project_id" in copy:
        copy["project_id"] = project
    if copy.get("created_at") is not None:
        copy["created_at"] += timedelta(seconds=number)
    return copy
