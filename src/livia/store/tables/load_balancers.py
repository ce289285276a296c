"""Load balancers with their VIPs, and the tags of every object."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, String, Table, text

from livia.store.columns import id_column, object_columns
from livia.store.tables.registry import metadata

load_balancer = Table(
    "load_balancer",
    metadata,
    id_column(),
    *object_columns(description=True),
    Column("topology", String(36)),
    Column("server_group_id", String(36)),
    Column("provider", String(64)),
    Column("flavor_id", String(36), ForeignKey("flavor.id")),
    Column("availability_zone", String(255), ForeignKey("availability_zone.name")),
    Column("confirmed_generation", BigInteger, nullable=False, server_default=text("0")),
    # Lists follow the project's own size: owner first, then the default order.
    Index("ix_load_balancer_project", "project_id", "created_at", "id"),
)

vip = Table(
    "vip",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("load_balancer.id"), primary_key=True),
    Column("ip_address", String(64)),
    Column("port_id", String(36)),
    Column("subnet_id", String(36)),
    Column("network_id", String(36)),
    Column("qos_policy_id", String(36)),
    Column("octavia_owned", Boolean),
    Column("vnic_type", String(64), nullable=False, server_default="normal"),
)

additional_vip = Table(
    "additional_vip",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("load_balancer.id"), primary_key=True),
    Column("subnet_id", String(36), primary_key=True),
    Column("ip_address", String(64)),
    Column("port_id", String(36)),
    Column("network_id", String(36)),
)

vip_security_group = Table(
    "vip_security_group",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("vip.load_balancer_id"), primary_key=True),
    Column("sg_id", String(36), primary_key=True),
)

tags = Table(
    "tags",
    metadata,
    Column("resource_id", String(36), primary_key=True),
    Column("tag", String(255), primary_key=True, index=True),
)
