"""Columns that many tables have."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, LargeBinary, String, text
from sqlalchemy.dialects import mysql

#: naive UTC; MySQL would cut fractions off without being told
Moment = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

#: bytes, up to 16 MiB; MySQL's own BLOB ends at 64 KiB
Bytes = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def id_column() -> Column[str]:
    """The primary key of an object: a UUID in lower case with dashes."""
    return Column("id", String(36), primary_key=True)


def object_columns(*, description: bool = False) -> list[Column[object]]:
    """Columns that every object of the API has."""
    columns: list[Column[object]] = [
        Column("project_id", String(36)),
        Column("name", String(255)),
        Column("enabled", Boolean, nullable=False),
        Column("provisioning_status", String(16), nullable=False),
        Column("operating_status", String(16), nullable=False),
        Column("created_at", Moment),
        Column("updated_at", Moment),
        Column("generation", BigInteger, nullable=False, server_default=text("0")),
    ]
    if description:
        columns.append(Column("description", String(255)))
    return columns


def parent_column(table: str, column: str, *, nullable: bool = False, index: bool = True) -> Column[str]:
    """A reference to the `id` of another table's row."""
    return Column(column, String(36), ForeignKey(f"{table}.id"), nullable=nullable, index=index)
