"""Listeners with their certificates, address lists and counters."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from livia.store.columns import id_column, object_columns, parent_column
from livia.store.tables.registry import metadata

listener = Table(
    "listener",
    metadata,
    id_column(),
    *object_columns(description=True),
    parent_column("load_balancer", "load_balancer_id"),
    Column("protocol", String(16), nullable=False),
    Column("protocol_port", Integer, nullable=False),
    # BigInteger: the API knows no upper bound for it (contract 20, section 2).
    Column("connection_limit", BigInteger),
    Column("tls_certificate_id", String(255)),
    parent_column("pool", "default_pool_id", nullable=True),
    Column("peer_port", Integer),
    Column("insert_headers", Text),
    Column("timeout_client_data", Integer),
    Column("timeout_member_connect", Integer),
    Column("timeout_member_data", Integer),
    Column("timeout_tcp_inspect", Integer),
    Column("client_ca_tls_certificate_id", String(255)),
    Column("client_authentication", String(10), nullable=False, server_default="NONE"),
    Column("client_crl_container_id", String(255)),
    Column("tls_ciphers", String(2048)),
    Column("tls_versions", String(512)),
    Column("alpn_protocols", String(512)),
    Column("hsts_max_age", BigInteger),
    Column("hsts_include_subdomains", Boolean),
    Column("hsts_preload", Boolean),
    Column("ordinal", Integer, nullable=False, server_default=text("0")),
    UniqueConstraint("load_balancer_id", "protocol", "protocol_port"),
    Index("ix_listener_project", "project_id", "created_at", "id"),
)

listener_cidr = Table(
    "listener_cidr",
    metadata,
    Column("listener_id", String(36), ForeignKey("listener.id"), primary_key=True),
    Column("cidr", String(64), primary_key=True),
)

sni = Table(
    "sni",
    metadata,
    Column("listener_id", String(36), ForeignKey("listener.id"), primary_key=True),
    Column("tls_container_id", String(255), primary_key=True),
    Column("position", Integer),
)

listener_statistics = Table(
    "listener_statistics",
    metadata,
    Column("listener_id", String(36), primary_key=True),
    Column("amphora_id", String(36), primary_key=True),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("active_connections", Integer, nullable=False),
    Column("total_connections", BigInteger, nullable=False),
    Column("request_errors", BigInteger, nullable=False),
    # What is left when the listener is gone is found by it.
    Column("load_balancer_id", String(36), index=True),
)
