"""Pools, members and health monitors."""

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, UniqueConstraint, false, text

from livia.store.columns import id_column, object_columns, parent_column
from livia.store.tables.registry import metadata

pool = Table(
    "pool",
    metadata,
    id_column(),
    *object_columns(description=True),
    parent_column("load_balancer", "load_balancer_id"),
    Column("protocol", String(16), nullable=False),
    Column("lb_algorithm", String(255), nullable=False),
    Column("tls_certificate_id", String(255)),
    Column("ca_tls_certificate_id", String(255)),
    Column("crl_container_id", String(255)),
    Column("tls_enabled", Boolean, nullable=False, server_default=false()),
    Column("tls_ciphers", String(2048)),
    Column("tls_versions", String(512)),
    Column("alpn_protocols", String(512)),
    Column("ordinal", Integer, nullable=False, server_default=text("0")),
    Index("ix_pool_project", "project_id", "created_at", "id"),
)

session_persistence = Table(
    "session_persistence",
    metadata,
    Column("pool_id", String(36), ForeignKey("pool.id"), primary_key=True),
    Column("type", String(16), nullable=False),
    Column("cookie_name", String(255)),
    Column("persistence_timeout", Integer),
    Column("persistence_granularity", String(64)),
)

member = Table(
    "member",
    metadata,
    id_column(),
    *object_columns(),
    parent_column("load_balancer", "load_balancer_id", index=False),
    parent_column("pool", "pool_id", index=False),
    Column("subnet_id", String(36)),
    Column("ip_address", String(64)),
    Column("protocol_port", Integer, nullable=False),
    Column("weight", Integer),
    Column("monitor_address", String(64)),
    Column("monitor_port", Integer),
    Column("backup", Boolean, nullable=False),
    Column("vnic_type", String(64), nullable=False, server_default="normal"),
    Column("ordinal", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("pool_id", "ip_address", "protocol_port"),
    Index("ix_member_project", "project_id"),
    # A change concerns few of a load balancer's members, and a confirmation looks for these alone.
    Index("ix_member_pending", "load_balancer_id", "provisioning_status"),
)

health_monitor = Table(
    "health_monitor",
    metadata,
    id_column(),
    *object_columns(),
    parent_column("load_balancer", "load_balancer_id"),
    Column("pool_id", String(36), ForeignKey("pool.id"), nullable=False),
    Column("type", String(36), nullable=False),
    Column("delay", Integer, nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("fall_threshold", Integer, nullable=False),
    Column("rise_threshold", Integer, nullable=False),
    Column("http_method", String(16)),
    Column("url_path", String(255)),
    Column("expected_codes", String(64)),
    Column("http_version", Float),
    Column("domain_name", String(255)),
    UniqueConstraint("pool_id", name="uq_health_monitor_pool"),
    Index("ix_health_monitor_project", "project_id", "created_at", "id"),
)
