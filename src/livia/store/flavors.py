"""Flavors and availability zones, as far as a load balancer's creation asks for them."""

from msgspec import Struct
from sqlalchemy import Connection, select

from livia.store import tables as t


class Offer(Struct, frozen=True):
    """A flavor or zone: whether it may be used, and by which provider."""

    enabled: bool
    provider: str


def flavor(connection: Connection, flavor_id: str) -> Offer | None:
    """A flavor by its id."""
    row = connection.execute(
        select(t.flavor.c.enabled, t.flavor_profile.c.provider_name)
        .join_from(t.flavor, t.flavor_profile, t.flavor_profile.c.id == t.flavor.c.flavor_profile_id)
        .where(t.flavor.c.id == flavor_id)
    ).one_or_none()
    return None if row is None else Offer(*row)


def availability_zone(connection: Connection, name: str) -> Offer | None:
    """An availability zone by its name."""
    profile = t.availability_zone_profile
    row = connection.execute(
        select(t.availability_zone.c.enabled, profile.c.provider_name)
        .join_from(t.availability_zone, profile, profile.c.id == t.availability_zone.c.availability_zone_profile_id)
        .where(t.availability_zone.c.name == name)
    ).one_or_none()
    return None if row is None else Offer(*row)
