"""Amphorae, and the hosts that carry them, which are ours alone."""

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, false, text

from livia.store.columns import Moment, id_column, parent_column
from livia.store.tables.registry import metadata

amphora = Table(
    "amphora",
    metadata,
    id_column(),
    Column("compute_id", String(36)),
    Column("status", String(36), nullable=False),
    parent_column("load_balancer", "load_balancer_id", nullable=True),
    Column("lb_network_ip", String(64)),
    Column("vrrp_ip", String(64)),
    Column("ha_ip", String(64)),
    Column("vrrp_port_id", String(36)),
    Column("ha_port_id", String(36)),
    Column("role", String(36)),
    Column("cert_expiration", Moment),
    Column("cert_busy", Boolean, nullable=False, server_default=false()),
    Column("vrrp_interface", String(16)),
    Column("vrrp_id", Integer),
    Column("vrrp_priority", Integer),
    Column("cached_zone", String(255)),
    Column("created_at", Moment),
    Column("updated_at", Moment),
    Column("image_id", String(36)),
    Column("compute_flavor", String(255)),
    Column("agent_port", Integer),
    Column("applied_generation", BigInteger, nullable=False, server_default=text("0")),
    Column("applied_digest", String(64)),
    Column("holds_vip", Boolean, nullable=False, server_default=false()),
    Column("replace_requested", Boolean, nullable=False, server_default=false()),
    # Who places one counts those of every host: the index alone says how many of them are the ones that serve.
    Index("ix_amphora_host", "compute_id", "status", "role"),
)

amphora_health = Table(
    "amphora_health",
    metadata,
    Column("amphora_id", String(36), primary_key=True),
    Column("last_update", Moment, nullable=False),
    Column("busy", Boolean, nullable=False, server_default=false()),
)

amphora_member_port = Table(
    "amphora_member_port",
    metadata,
    Column("port_id", String(36), primary_key=True),
    parent_column("amphora", "amphora_id"),
    Column("network_id", String(36)),
    Column("created_at", Moment),
    Column("updated_at", Moment),
)

vrrp_group = Table(
    "vrrp_group",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("load_balancer.id"), primary_key=True),
    Column("vrrp_group_name", String(36)),
    Column("vrrp_auth_type", String(16)),
    Column("vrrp_auth_pass", String(36)),
    Column("advert_int", Integer),
)

amphora_host = Table(
    "amphora_host",
    metadata,
    id_column(),
    Column("address", String(64), nullable=False),
    Column("agent_port", Integer, nullable=False),
    Column("availability_zone", String(255)),
    Column("capacity", Integer, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=false()),
    Column("last_seen", Double, nullable=False),
    # Raised with every amphora placed there: of two that place one at the same time, one looks again.
    Column("placements", BigInteger, nullable=False, server_default=text("0")),
)
