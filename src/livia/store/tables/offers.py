"""What operators offer and limit: flavors, availability zones, quotas."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table

from livia.store.columns import id_column
from livia.store.tables.registry import metadata

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
