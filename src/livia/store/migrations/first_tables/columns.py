"""Columns that many of the first tables have."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

#: naive UTC; MySQL would cut fractions off without being told
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def object_columns(*, named: bool = True) -> list[sa.Column[object]]:
    """What every object of the API has."""
    columns: list[sa.Column[object]] = [
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
    ]
    if named:
        columns.append(sa.Column("name", sa.String(length=255), nullable=True))
    return [
        *columns,
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    ]


def tls_columns() -> list[sa.Column[str]]:
    """What a TLS connection is negotiated by."""
    return [
        sa.Column("tls_ciphers", sa.String(length=2048), nullable=True),
        sa.Column("tls_versions", sa.String(length=512), nullable=True),
        sa.Column("alpn_protocols", sa.String(length=512), nullable=True),
    ]
