"""The first tables of networks that are bridges of one machine."""

import sqlalchemy as sa
from alembic import op

from livia.store.migrations.first_tables.columns import MOMENT


def create() -> None:
    """Make them; what they refer to is there."""
    _local_network()
    _local_subnet()
    _local_port()
    _local_address()


def _local_network() -> None:
    op.create_table(
        "local_network",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_network")),
        sa.UniqueConstraint("name", name=op.f("uq_local_network_name")),
    )


def _local_subnet() -> None:
    op.create_table(
        "local_subnet",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["local_network.id"], name=op.f("fk_local_subnet_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_subnet")),
    )
    op.create_index("ix_local_subnet_network_id", "local_subnet", ["network_id"], unique=False)


def _local_port() -> None:
    op.create_table(
        "local_port",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.String(length=17), nullable=False),
        sa.Column("device_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("device_owner", sa.String(length=64), server_default="", nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["local_network.id"], name=op.f("fk_local_port_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_local_port")),
        sa.UniqueConstraint("mac", name=op.f("uq_local_port_mac")),
    )
    op.create_index("ix_local_port_device_id", "local_port", ["device_id"], unique=False)
    op.create_index("ix_local_port_name", "local_port", ["name"], unique=False)
    op.create_index("ix_local_port_network_id", "local_port", ["network_id"], unique=False)


def _local_address() -> None:
    op.create_table(
        "local_address",
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("ip_address", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["port_id"], ["local_port.id"], name=op.f("fk_local_address_port_id")),
        sa.ForeignKeyConstraint(["subnet_id"], ["local_subnet.id"], name=op.f("fk_local_address_subnet_id")),
        sa.PrimaryKeyConstraint("subnet_id", "ip_address", name=op.f("pk_local_address")),
    )
    op.create_index("ix_local_address_port_id", "local_address", ["port_id"], unique=False)
