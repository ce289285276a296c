"""Every table. Names and columns are those of contract 98 where they mean the same thing.

What is ours: `generation` on every object (the generation of the load balancer it last changed at),
`load_balancer_id` on every child (a whole load balancer is one indexed select per table), `ordinal` on
children (creation order within one request), and the tables from `work` on. Statuses, protocols and the
like are checked by the model, not by look-up tables. `insert_headers` is JSON text.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from livia.store.columns import Bytes, Moment, id_column, object_columns, parent_column

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

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

member = Table(
    "member",
    metadata,
    id_column(),
    *object_columns(),
    parent_column("load_balancer", "load_balancer_id"),
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

tags = Table(
    "tags",
    metadata,
    Column("resource_id", String(36), primary_key=True),
    Column("tag", String(255), primary_key=True, index=True),
)

QUOTA_RESOURCES = ("load_balancer", "listener", "pool", "member", "health_monitor", "l7policy", "l7rule")

quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(36), primary_key=True),
    *(Column(name, Integer) for name in QUOTA_RESOURCES),
    *(Column(f"in_use_{name}", Integer) for name in QUOTA_RESOURCES),
)

flavor_profile = Table(
    "flavor_profile",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False),
    Column("provider_name", String(255), nullable=False),
    Column("flavor_data", String(4096), nullable=False),
)

flavor = Table(
    "flavor",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", String(255)),
    Column("enabled", Boolean, nullable=False),
    Column("flavor_profile_id", String(36), ForeignKey("flavor_profile.id"), nullable=False),
)

availability_zone_profile = Table(
    "availability_zone_profile",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False),
    Column("provider_name", String(255), nullable=False),
    Column("availability_zone_data", String(4096), nullable=False),
)

availability_zone = Table(
    "availability_zone",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("description", String(255)),
    Column("enabled", Boolean, nullable=False),
    Column("availability_zone_profile_id", String(36), ForeignKey("availability_zone_profile.id"), nullable=False),
)

amphora = Table(
    "amphora",
    metadata,
    id_column(),
    Column("compute_id", String(36), index=True),
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
    Column("holds_vip", Boolean, nullable=False, server_default=false()),
    Column("replace_requested", Boolean, nullable=False, server_default=false()),
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

# What follows is ours alone.

#: one row per key with something to do; `due` in seconds of the database's clock
work = Table(
    "work",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("project_id", String(36)),
    Column("priority", Integer, nullable=False),
    Column("due", Double, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Raised by every request for work; a worker deletes the row only if it stayed the same.
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("reason", String(1024)),
    # When the present change began, in the database's clock: the overall deadline counts from here.
    Column("since", Double),
    Index("ix_work_due", "due"),
)

#: the right to act on one key; `expires` in seconds of the database's clock, `fence` only grows
lease = Table(
    "lease",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("owner", String(128)),
    Column("expires", Double, nullable=False),
    Column("fence", BigInteger, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("load_balancer_id", String(36), nullable=False),
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(36), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("request_id", String(64)),
    Column("created_at", Moment, nullable=False),
    Index("ix_event_load_balancer", "load_balancer_id", "id"),
)

#: answers to requests that brought an Idempotency-Key; digests, because databases disagree on which texts are equal
idempotency = Table(
    "idempotency",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
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
)

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

#: key material that a load balancer's listeners and pools name, as the data plane is given it; `sealed`: see
#: `livia.core.drivers.Seal`. `name` stands for purpose and reference: MySQL would ignore the case of these.
bound_material = Table(
    "bound_material",
    metadata,
    Column("load_balancer_id", String(36), ForeignKey("load_balancer.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("reference", String(255), nullable=False),
    Column("sealed", Bytes, nullable=False),
    Column("bound_at", Moment, nullable=False),
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

#: the built-in vault; `sealed`: nonce and ciphertext of the material
secret = Table(
    "secret",
    metadata,
    id_column(),
    Column("name", String(255), nullable=False),
    Column("project_id", String(36)),
    Column("sealed", Bytes, nullable=False),
    Column("created_at", Moment, nullable=False),
)
