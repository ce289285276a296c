"""Networks of the local driver: ours alone."""

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from livia.store.columns import Moment, id_column, parent_column
from livia.store.tables.registry import metadata

local_network = Table(
    "local_network",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False, unique=True),
    Column("project_id", String(36)),
    Column("mtu", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
)

local_subnet = Table(
    "local_subnet",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False),
    parent_column("local_network", "network_id"),
    Column("cidr", String(64), nullable=False),
    Column("gateway", String(64)),
    Column("created_at", Moment, nullable=False),
)

local_port = Table(
    "local_port",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False, index=True),
    parent_column("local_network", "network_id"),
    Column("mac", String(17), nullable=False, unique=True),
    Column("device_id", String(64), nullable=False, server_default="", index=True),
    Column("device_owner", String(64), nullable=False, server_default=""),
    Column("project_id", String(36)),
    Column("created_at", Moment, nullable=False),
)

#: primary key: an address is given out once, whoever asks at the same time
local_address = Table(
    "local_address",
    metadata,
    Column("subnet_id", String(36), ForeignKey("local_subnet.id"), primary_key=True),
    Column("ip_address", String(64), primary_key=True),
    parent_column("local_port", "port_id"),
)

#: `direction`: egress, ingress or both; `max_kbps` in kilobits per second, `burst_kb` in kilobits
local_qos_policy = Table(
    "local_qos_policy",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False, unique=True),
    Column("direction", String(16), nullable=False),
    Column("max_kbps", Integer, nullable=False),
    Column("burst_kb", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
)
