"""The first tables of listeners."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import object_columns, tls_columns


def create() -> None:
    """Make them; what they refer to is there."""
    _listener()
    _listener_cidr()
    _sni()
    _listener_statistics()


def _listener() -> None:
    op.create_table(
        "listener",
        *object_columns(),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("connection_limit", sa.BigInteger(), nullable=True),
        sa.Column("tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("default_pool_id", sa.String(length=36), nullable=True),
        sa.Column("peer_port", sa.Integer(), nullable=True),
        sa.Column("insert_headers", sa.Text(), nullable=True),
        sa.Column("timeout_client_data", sa.Integer(), nullable=True),
        sa.Column("timeout_member_connect", sa.Integer(), nullable=True),
        sa.Column("timeout_member_data", sa.Integer(), nullable=True),
        sa.Column("timeout_tcp_inspect", sa.Integer(), nullable=True),
        sa.Column("client_ca_tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("client_authentication", sa.String(length=10), server_default="NONE", nullable=False),
        sa.Column("client_crl_container_id", sa.String(length=255), nullable=True),
        *tls_columns(),
        sa.Column("hsts_max_age", sa.BigInteger(), nullable=True),
        sa.Column("hsts_include_subdomains", sa.Boolean(), nullable=True),
        sa.Column("hsts_preload", sa.Boolean(), nullable=True),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["default_pool_id"], ["pool.id"], name=op.f("fk_listener_default_pool_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_listener_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listener")),
        sa.UniqueConstraint(
            "load_balancer_id",
            "protocol",
            "protocol_port",
            name=op.f("uq_listener_load_balancer_id_protocol_protocol_port"),
        ),
    )
    op.create_index("ix_listener_default_pool_id", "listener", ["default_pool_id"], unique=False)
    op.create_index("ix_listener_load_balancer_id", "listener", ["load_balancer_id"], unique=False)
    op.create_index("ix_listener_project", "listener", ["project_id", "created_at", "id"], unique=False)


def _listener_cidr() -> None:
    op.create_table(
        "listener_cidr",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_listener_cidr_listener_id")),
        sa.PrimaryKeyConstraint("listener_id", "cidr", name=op.f("pk_listener_cidr")),
    )


def _sni() -> None:
    op.create_table(
        "sni",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("tls_container_id", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_sni_listener_id")),
        sa.PrimaryKeyConstraint("listener_id", "tls_container_id", name=op.f("pk_sni")),
    )


def _listener_statistics() -> None:
    op.create_table(
        "listener_statistics",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("amphora_id", sa.String(length=36), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("active_connections", sa.Integer(), nullable=False),
        sa.Column("total_connections", sa.BigInteger(), nullable=False),
        sa.Column("request_errors", sa.BigInteger(), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("listener_id", "amphora_id", name=op.f("pk_listener_statistics")),
    )
    op.create_index(
        "ix_listener_statistics_load_balancer_id", "listener_statistics", ["load_balancer_id"], unique=False
    )
