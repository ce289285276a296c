"""The first tables of amphorae and the hosts that carry them."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import MOMENT


def create() -> None:
    """Make them; what they refer to is there."""
    _amphora_host()
    _amphora()
    _amphora_health()
    _amphora_member_port()
    _vrrp_group()


def _amphora_host() -> None:
    op.create_table(
        "amphora_host",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent_port", sa.Integer(), nullable=False),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("last_seen", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_amphora_host")),
    )


def _amphora() -> None:
    op.create_table(
        "amphora",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("compute_id", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=36), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=True),
        sa.Column("lb_network_ip", sa.String(length=64), nullable=True),
        sa.Column("vrrp_ip", sa.String(length=64), nullable=True),
        sa.Column("ha_ip", sa.String(length=64), nullable=True),
        sa.Column("vrrp_port_id", sa.String(length=36), nullable=True),
        sa.Column("ha_port_id", sa.String(length=36), nullable=True),
        sa.Column("role", sa.String(length=36), nullable=True),
        sa.Column("cert_expiration", MOMENT, nullable=True),
        sa.Column("cert_busy", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("vrrp_interface", sa.String(length=16), nullable=True),
        sa.Column("vrrp_id", sa.Integer(), nullable=True),
        sa.Column("vrrp_priority", sa.Integer(), nullable=True),
        sa.Column("cached_zone", sa.String(length=255), nullable=True),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("image_id", sa.String(length=36), nullable=True),
        sa.Column("compute_flavor", sa.String(length=255), nullable=True),
        sa.Column("agent_port", sa.Integer(), nullable=True),
        sa.Column("applied_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("holds_vip", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("replace_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_amphora_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_amphora")),
    )
    op.create_index("ix_amphora_compute_id", "amphora", ["compute_id"], unique=False)
    op.create_index("ix_amphora_load_balancer_id", "amphora", ["load_balancer_id"], unique=False)


def _amphora_health() -> None:
    op.create_table(
        "amphora_health",
        sa.Column("amphora_id", sa.String(length=36), nullable=False),
        sa.Column("last_update", MOMENT, nullable=False),
        sa.Column("busy", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("amphora_id", name=op.f("pk_amphora_health")),
    )


def _amphora_member_port() -> None:
    op.create_table(
        "amphora_member_port",
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("amphora_id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["amphora_id"], ["amphora.id"], name=op.f("fk_amphora_member_port_amphora_id")),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_amphora_member_port")),
    )
    op.create_index("ix_amphora_member_port_amphora_id", "amphora_member_port", ["amphora_id"], unique=False)


def _vrrp_group() -> None:
    op.create_table(
        "vrrp_group",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("vrrp_group_name", sa.String(length=36), nullable=True),
        sa.Column("vrrp_auth_type", sa.String(length=16), nullable=True),
        sa.Column("vrrp_auth_pass", sa.String(length=36), nullable=True),
        sa.Column("advert_int", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_vrrp_group_load_balancer_id")
        ),
        sa.PrimaryKeyConstraint("load_balancer_id", name=op.f("pk_vrrp_group")),
    )
