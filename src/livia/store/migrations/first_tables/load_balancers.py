"""The first tables of load balancers and their addresses."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import object_columns


def create() -> None:
    """Make them; what they refer to is there."""
    _load_balancer()
    _vip()
    _additional_vip()
    _vip_security_group()
    _tags()


def _load_balancer() -> None:
    op.create_table(
        "load_balancer",
        *object_columns(),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("topology", sa.String(length=36), nullable=True),
        sa.Column("server_group_id", sa.String(length=36), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=True),
        sa.Column("flavor_id", sa.String(length=36), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("confirmed_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["availability_zone"], ["availability_zone.name"], name=op.f("fk_load_balancer_availability_zone")
        ),
        sa.ForeignKeyConstraint(["flavor_id"], ["flavor.id"], name=op.f("fk_load_balancer_flavor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load_balancer")),
    )
    op.create_index("ix_load_balancer_project", "load_balancer", ["project_id", "created_at", "id"], unique=False)


def _vip() -> None:
    op.create_table(
        "vip",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.Column("subnet_id", sa.String(length=36), nullable=True),
        sa.Column("network_id", sa.String(length=36), nullable=True),
        sa.Column("qos_policy_id", sa.String(length=36), nullable=True),
        sa.Column("octavia_owned", sa.Boolean(), nullable=True),
        sa.Column("vnic_type", sa.String(length=64), server_default="normal", nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_vip_load_balancer_id")),
        sa.PrimaryKeyConstraint("load_balancer_id", name=op.f("pk_vip")),
    )


def _additional_vip() -> None:
    op.create_table(
        "additional_vip",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.Column("network_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_additional_vip_load_balancer_id")
        ),
        sa.PrimaryKeyConstraint("load_balancer_id", "subnet_id", name=op.f("pk_additional_vip")),
    )


def _vip_security_group() -> None:
    op.create_table(
        "vip_security_group",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("sg_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["vip.load_balancer_id"], name=op.f("fk_vip_security_group_load_balancer_id")
        ),
        sa.PrimaryKeyConstraint("load_balancer_id", "sg_id", name=op.f("pk_vip_security_group")),
    )


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"], unique=False)
