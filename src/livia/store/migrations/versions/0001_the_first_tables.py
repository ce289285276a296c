"""The first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "amphora_health",
        sa.Column("amphora_id", sa.String(length=36), nullable=False),
        sa.Column("last_update", MOMENT, nullable=False),
        sa.Column("busy", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("amphora_id", name=op.f("pk_amphora_health")),
    )
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
    op.create_table(
        "availability_zone_profile",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("provider_name", sa.String(length=255), nullable=False),
        sa.Column("availability_zone_data", sa.String(length=4096), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_availability_zone_profile")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
    )
    op.create_index("ix_event_load_balancer", "event", ["load_balancer_id", "id"], unique=False)

    op.create_table(
        "flavor_profile",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("provider_name", sa.String(length=255), nullable=False),
        sa.Column("flavor_data", sa.String(length=4096), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor_profile")),
    )
    op.create_table(
        "lease",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_lease")),
    )
    op.create_table(
        "listener_statistics",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("amphora_id", sa.String(length=36), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("active_connections", sa.Integer(), nullable=False),
        sa.Column("total_connections", sa.BigInteger(), nullable=False),
        sa.Column("request_errors", sa.BigInteger(), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("listener_id", "amphora_id", name=op.f("pk_listener_statistics")),
    )
    op.create_index(
        "ix_listener_statistics_load_balancer_id", "listener_statistics", ["load_balancer_id"], unique=False
    )

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
    op.create_table(
        "quotas",
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("load_balancer", sa.Integer(), nullable=True),
        sa.Column("listener", sa.Integer(), nullable=True),
        sa.Column("pool", sa.Integer(), nullable=True),
        sa.Column("member", sa.Integer(), nullable=True),
        sa.Column("health_monitor", sa.Integer(), nullable=True),
        sa.Column("l7policy", sa.Integer(), nullable=True),
        sa.Column("l7rule", sa.Integer(), nullable=True),
        sa.Column("in_use_load_balancer", sa.Integer(), nullable=True),
        sa.Column("in_use_listener", sa.Integer(), nullable=True),
        sa.Column("in_use_pool", sa.Integer(), nullable=True),
        sa.Column("in_use_member", sa.Integer(), nullable=True),
        sa.Column("in_use_health_monitor", sa.Integer(), nullable=True),
        sa.Column("in_use_l7policy", sa.Integer(), nullable=True),
        sa.Column("in_use_l7rule", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_quotas")),
    )
    op.create_table(
        "tags",
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "tag", name=op.f("pk_tags")),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"], unique=False)

    op.create_table(
        "work",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=True),
        sa.Column("since", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_work")),
    )
    op.create_index("ix_work_due", "work", ["due"], unique=False)

    op.create_table(
        "availability_zone",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("availability_zone_profile_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["availability_zone_profile_id"],
            ["availability_zone_profile.id"],
            name=op.f("fk_availability_zone_availability_zone_profile_id"),
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_availability_zone")),
    )
    op.create_table(
        "flavor",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("flavor_profile_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["flavor_profile_id"], ["flavor_profile.id"], name=op.f("fk_flavor_flavor_profile_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor")),
        sa.UniqueConstraint("name", name=op.f("uq_flavor_name")),
    )
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

    op.create_table(
        "load_balancer",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
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

    op.create_table(
        "pool",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("lb_algorithm", sa.String(length=255), nullable=False),
        sa.Column("tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("ca_tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("crl_container_id", sa.String(length=255), nullable=True),
        sa.Column("tls_enabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tls_ciphers", sa.String(length=2048), nullable=True),
        sa.Column("tls_versions", sa.String(length=512), nullable=True),
        sa.Column("alpn_protocols", sa.String(length=512), nullable=True),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_pool_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
    )
    op.create_index("ix_pool_load_balancer_id", "pool", ["load_balancer_id"], unique=False)
    op.create_index("ix_pool_project", "pool", ["project_id", "created_at", "id"], unique=False)

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

    op.create_table(
        "health_monitor",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("delay", sa.Integer(), nullable=False),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("fall_threshold", sa.Integer(), nullable=False),
        sa.Column("rise_threshold", sa.Integer(), nullable=False),
        sa.Column("http_method", sa.String(length=16), nullable=True),
        sa.Column("url_path", sa.String(length=255), nullable=True),
        sa.Column("expected_codes", sa.String(length=64), nullable=True),
        sa.Column("http_version", sa.Float(), nullable=True),
        sa.Column("domain_name", sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_health_monitor_load_balancer_id")
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_health_monitor_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_monitor")),
        sa.UniqueConstraint("pool_id", name="uq_health_monitor_pool"),
    )
    op.create_index("ix_health_monitor_load_balancer_id", "health_monitor", ["load_balancer_id"], unique=False)
    op.create_index("ix_health_monitor_project", "health_monitor", ["project_id", "created_at", "id"], unique=False)

    op.create_table(
        "listener",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("connection_limit", sa.BigInteger(), nullable=True),
        sa.Column("tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("default_pool_id", sa.String(length=36), nullable=True),
        sa.Column("peer_port", sa.Integer(), nullable=True),
        sa.Column("insert_headers", sa.Text(), nullable=True),
        sa.Column("timeout_client_data", sa.Integer(), nullable=True),
        sa.Column("timeout_member_connect", sa.Integer(), nullable=True),
        sa.Column("timeout_member_data", sa.Integer(), nullable=True),
        sa.Column("timeout_tcp_inspect", sa.Integer(), nullable=True),
        sa.Column("client_ca_tls_certificate_id", sa.String(length=255), nullable=True),
        sa.Column("client_authentication", sa.String(length=10), server_default="NONE", nullable=False),
        sa.Column("client_crl_container_id", sa.String(length=255), nullable=True),
        sa.Column("tls_ciphers", sa.String(length=2048), nullable=True),
        sa.Column("tls_versions", sa.String(length=512), nullable=True),
        sa.Column("alpn_protocols", sa.String(length=512), nullable=True),
        sa.Column("hsts_max_age", sa.BigInteger(), nullable=True),
        sa.Column("hsts_include_subdomains", sa.Boolean(), nullable=True),
        sa.Column("hsts_preload", sa.Boolean(), nullable=True),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["default_pool_id"], ["pool.id"], name=op.f("fk_listener_default_pool_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_listener_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listener")),
        sa.UniqueConstraint(
            "load_balancer_id",
            "protocol",
            "protocol_port",
            name=op.f("uq_listener_load_balancer_id_protocol_protocol_port"),
        ),
    )
    op.create_index("ix_listener_default_pool_id", "listener", ["default_pool_id"], unique=False)
    op.create_index("ix_listener_load_balancer_id", "listener", ["load_balancer_id"], unique=False)
    op.create_index("ix_listener_project", "listener", ["project_id", "created_at", "id"], unique=False)

    op.create_table(
        "member",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=True),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=True),
        sa.Column("monitor_address", sa.String(length=64), nullable=True),
        sa.Column("monitor_port", sa.Integer(), nullable=True),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("vnic_type", sa.String(length=64), server_default="normal", nullable=False),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_member_load_balancer_id")),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_member_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint(
            "pool_id", "ip_address", "protocol_port", name=op.f("uq_member_pool_id_ip_address_protocol_port")
        ),
    )
    op.create_index("ix_member_load_balancer_id", "member", ["load_balancer_id"], unique=False)
    op.create_index("ix_member_project", "member", ["project_id"], unique=False)

    op.create_table(
        "session_persistence",
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("cookie_name", sa.String(length=255), nullable=True),
        sa.Column("persistence_timeout", sa.Integer(), nullable=True),
        sa.Column("persistence_granularity", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["pool_id"], ["pool.id"], name=op.f("fk_session_persistence_pool_id")),
        sa.PrimaryKeyConstraint("pool_id", name=op.f("pk_session_persistence")),
    )
    op.create_table(
        "vip_security_group",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("sg_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["vip.load_balancer_id"], name=op.f("fk_vip_security_group_load_balancer_id")
        ),
        sa.PrimaryKeyConstraint("load_balancer_id", "sg_id", name=op.f("pk_vip_security_group")),
    )
    op.create_table(
        "l7policy",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.String(length=36), nullable=False),
        sa.Column("redirect_pool_id", sa.String(length=36), nullable=True),
        sa.Column("redirect_url", sa.String(length=255), nullable=True),
        sa.Column("redirect_prefix", sa.String(length=255), nullable=True),
        sa.Column("redirect_http_code", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_l7policy_listener_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_l7policy_load_balancer_id")),
        sa.ForeignKeyConstraint(["redirect_pool_id"], ["pool.id"], name=op.f("fk_l7policy_redirect_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_l7policy")),
    )
    op.create_index("ix_l7policy_listener_id", "l7policy", ["listener_id"], unique=False)
    op.create_index("ix_l7policy_load_balancer_id", "l7policy", ["load_balancer_id"], unique=False)
    op.create_index("ix_l7policy_project", "l7policy", ["project_id", "created_at", "id"], unique=False)
    op.create_index("ix_l7policy_redirect_pool_id", "l7policy", ["redirect_pool_id"], unique=False)

    op.create_table(
        "listener_cidr",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_listener_cidr_listener_id")),
        sa.PrimaryKeyConstraint("listener_id", "cidr", name=op.f("pk_listener_cidr")),
    )
    op.create_table(
        "sni",
        sa.Column("listener_id", sa.String(length=36), nullable=False),
        sa.Column("tls_container_id", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["listener_id"], ["listener.id"], name=op.f("fk_sni_listener_id")),
        sa.PrimaryKeyConstraint("listener_id", "tls_container_id", name=op.f("pk_sni")),
    )
    op.create_table(
        "l7rule",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("provisioning_status", sa.String(length=16), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("l7policy_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("compare_type", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("invert", sa.Boolean(), nullable=False),
        sa.Column("ordinal", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["l7policy_id"], ["l7policy.id"], name=op.f("fk_l7rule_l7policy_id")),
        sa.ForeignKeyConstraint(["load_balancer_id"], ["load_balancer.id"], name=op.f("fk_l7rule_load_balancer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_l7rule")),
    )
    op.create_index("ix_l7rule_l7policy_id", "l7rule", ["l7policy_id"], unique=False)
    op.create_index("ix_l7rule_load_balancer_id", "l7rule", ["load_balancer_id"], unique=False)
