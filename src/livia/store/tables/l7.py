"""L7 policies and rules."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, text

from livia.store.columns import id_column, object_columns, parent_column
from livia.store.tables.registry import metadata

l7policy = Table(
    "l7policy",
    metadata,
    id_column(),
    *object_columns(description=True),
    parent_column("load_balancer", "load_balancer_id"),
    parent_column("listener", "listener_id"),
    Column("action", String(36), nullable=False),
    parent_column("pool", "redirect_pool_id", nullable=True),
    Column("redirect_url", String(255)),
    Column("redirect_prefix", String(255)),
    Column("redirect_http_code", Integer),
    Column("position", Integer, nullable=False),
    Index("ix_l7policy_project", "project_id", "created_at", "id"),
)

l7rule = Table(
    "l7rule",
    metadata,
    id_column(),
    *(column for column in object_columns() if column.name != "name"),
    parent_column("load_balancer", "load_balancer_id"),
    parent_column("l7policy", "l7policy_id"),
    Column("type", String(36), nullable=False),
    Column("compare_type", String(36), nullable=False),
    Column("key", String(255)),
    Column("value", String(255), nullable=False),
    Column("invert", Boolean, nullable=False),
    Column("ordinal", Integer, nullable=False, server_default=text("0")),
    # Quotas count a project's rules.
    Index("ix_l7rule_project", "project_id"),
)
