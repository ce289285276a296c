"""Rows that one transaction inserts, collected so that many are one statement."""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert

from livia.store.tables import metadata


@cache
def _rank() -> Mapping[Table, int]:
    """Where each table comes when rows are inserted: what is referred to goes first."""
    return {table: rank for rank, table in enumerate(metadata.sorted_tables)}


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


class Batch:
    """Collects rows, each a mapping of column names to values, in the order in which they are added."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[Table, frozenset[str]], list[Mapping[str, Any]]] = defaultdict(list)

    def add(self, table: Table, row: Mapping[str, Any]) -> None:
        """A row for the next `flush`."""
        self._rows[table, frozenset(row)].append(row)

    def flush(self, connection: Connection) -> None:
        """Insert what was added. Raises IntegrityError when a unique key is taken."""
        if not self._rows:
            return
        for (table, _columns), rows in sorted(self._rows.items(), key=lambda item: _rank()[item[0][0]]):
            connection.execute(_insert(table), rows if len(rows) > 1 else rows[0])
        self._rows.clear()
