"""Insert a row, or change the one that is there: one statement, which the databases say differently."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import mysql, postgresql, sqlite


def upsert(dialect: str, table: Table, row: Mapping[str, Any], change: Mapping[str, Any]) -> Insert:
    """Insert `row`; where one of its primary key is there, write the columns of `change` instead, and lock it."""
    if dialect in ("mysql", "mariadb"):
        return mysql.insert(table).values(row).on_duplicate_key_update(change)
    key = list(table.primary_key)
    if dialect == "sqlite":
        return sqlite.insert(table).values(row).on_conflict_do_update(index_elements=key, set_=change)
    return postgresql.insert(table).values(row).on_conflict_do_update(index_elements=key, set_=change)
