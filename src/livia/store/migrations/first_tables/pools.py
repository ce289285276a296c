"""The first tables of pools, their members and health monitors."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import object_columns, tls_columns


def create() -> None:
    """Make them; what they refer to is there."""
    _pool()
    _session_persistence()
    _member()
    _health_monitor()


def _pool() -> None:
    op.create_table(
        "pool",
        *object_columns(),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("lb_algorithm", sa.String(length=255), nullable=False),
        sa.Column("tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("ca_tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("crl_container_id", sa.String(length=255), nullable=True),
        sa.Column("tls_enabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        *tls_columns(),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_pool_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
    )
    op.create_index("ix_pool_load_balancer_id", "pool", ["load_balancer_id"], unique=False)
    op.create_index("ix_pool_project", "pool", ["project_id", "created_at", "id"], unique=False)


def _session_persistence() -> None:
    op.create_table(
        "session_persistence",
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("cookie_name", sa.String(length=255), nullable=True),
        sa.Column("persistence_timeout", sa.Integer(), nullable=True),
        sa.Column("persistence_granularity", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_session_persistence_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_session_persistence")),
    )


def _member() -> None:
    op.create_table(
        "member",
        *object_columns(),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=True),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=True),
        sa.Column("monitor_address", sa.String(length=64), nullable=True),
        sa.Column("monitor_port", sa.Integer(), nullable=True),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("vnic_type", sa.String(length=64), server_default="normal", nullable=False),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_member_load_balancer_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_member_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint(
            "pool_id", "ip_address", "protocol_port", name=op.f("uq_member_pool_id_ip_address_protocol_port")
        ),
    )
    op.create_index("ix_member_load_balancer_id", "member", ["load_balancer_id"], unique=False)
    op.create_index("ix_member_project", "member", ["project_id"], unique=False)


def _health_monitor() -> None:
    op.create_table(
        "health_monitor",
        *object_columns(),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("delay", sa.Integer(), nullable=False),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("fall_threshold", sa.Integer(), nullable=False),
        sa.Column("rise_threshold", sa.Integer(), nullable=False),
        sa.Column("http_method", sa.String(length=16), nullable=True),
        sa.Column("url_path", sa.String(length=255), nullable=True),
        sa.Column("expected_codes", sa.String(length=64), nullable=True),
        sa.Column("http_version", sa.Float(), nullable=True),
        sa.Column("domain_name", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_health_monitor_load_balancer_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_health_monitor_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_monitor")),
        sa.UniqueConstraint("pool_id", name="uq_health_monitor_pool"),
    )
    op.create_index("ix_health_monitor_load_balancer_id", "health_monitor", ["load_balancer_id"], unique=False)
    op.create_index("ix_health_monitor_project", "health_monitor", ["project_id", "created_at", "id"], unique=False)
