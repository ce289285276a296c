"""Insert a row, or change or leave the one that is there: one statement, which the databases say differently."""

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


def insert_missing(dialect: str, table: Table, row: Mapping[str, Any]) -> Insert:
    """Insert `row`, or nothing (row count 0) where one of its primary key is there. Waits for who inserts it now."""
    statement: Insert
    if dialect in ("mysql", "mariadb"):
        statement = mysql.insert(table).values(row).prefix_with("IGNORE")
    elif dialect == "sqlite":
        statement = sqlite.insert(table).values(row).on_conflict_do_nothing()
    else:
        statement = postgresql.insert(table).values(row).on_conflict_do_nothing()
    # SQLAlchemy keeps the count of updates and deletions only.
    return statement.execution_options(preserve_rowcount=True)
