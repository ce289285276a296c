"""Flavors and availability zones with their profiles: the shown views and their rows.

The two differ in names only: a `Shelf` has those, and everything else is written once.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from livia.core.model.status import Provisioning
from livia.core.rules.offers import PLACEHOLDER
from livia.store import tables as t
from livia.store.view import View


class Shelf(Struct, frozen=True, kw_only=True):
    """The tables and columns of one kind of offer.

    `key`: what offers are addressed by; `profile_id`: an offer's column; `data`: a profile's column; `chosen`: the
    column of table `load_balancer` that refers to an offer.
    """

    offers: Table
    profiles: Table
    key: str
    profile_id: str
    data: str
    chosen: str


FLAVORS = Shelf(
    offers=t.flavor,
    profiles=t.flavor_profile,
    key="id",
    profile_id="flavor_profile_id",
    data="flavor_data",
    chosen="flavor_id",
)
ZONES = Shelf(
    offers=t.availability_zone,
    profiles=t.availability_zone_profile,
    key="name",
    profile_id="availability_zone_profile_id",
    data="availability_zone_data",
    chosen="availability_zone",
)


def _view(table: Table, key: str) -> View:
    columns: dict[str, ColumnElement[Any]] = {column.name: column for column in table.c}
    if "description" in columns:
        columns["description"] = func.coalesce(table.c.description, "")
    return View(table, columns, key=key, live=table.c[key] != PLACEHOLDER, order=(key,))


FLAVOR_VIEW = _view(t.flavor, "id")
FLAVOR_PROFILE_VIEW = _view(t.flavor_profile, "id")
ZONE_VIEW = _view(t.availability_zone, "name")
ZONE_PROFILE_VIEW = _view(t.availability_zone_profile, "id")


class Offer(Struct, frozen=True):
    """What a load balancer's creation asks of an offer: may it be used, by which provider, with what data (JSON)."""

    enabled: bool
    provider: str
    data: str


def offer(connection: Connection, shelf: Shelf, key: str) -> Offer | None:
    """One offer."""
    offers, profiles = shelf.offers, shelf.profiles
    row = connection.execute(
        select(offers.c.enabled, profiles.c.provider_name, profiles.c[shelf.data])
        .join_from(offers, profiles, profiles.c.id == offers.c[shelf.profile_id])
        .where(offers.c[shelf.key] == key, offers.c[shelf.key] != PLACEHOLDER)
    ).one_or_none()
    return None if row is None else Offer(*row)


class Profile(Struct, frozen=True):
    """What a profile says, and whether an offer is made of it. `data` is JSON."""

    provider: str
    data: str
    used: bool


def profile(connection: Connection, shelf: Shelf, profile_id: str) -> Profile | None:
    """One profile, kept from others until the transaction ends: neither changed by them nor offered."""
    table, offers = shelf.profiles, shelf.offers
    row = connection.execute(
        select(table.c.provider_name, table.c[shelf.data])
        .where(table.c.id == profile_id, table.c.id != PLACEHOLDER)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    used = connection.execute(select(offers.c[shelf.key]).where(offers.c[shelf.profile_id] == profile_id).limit(1))
    return Profile(*row, used.first() is not None)


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert an offer or profile. False when its name is taken."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(**values))
    except IntegrityError:
        return False
    return True


def change(connection: Connection, table: Table, key: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    """Write columns of an offer or profile. False when its new name is taken."""
    if not values:
        return True
    try:
        with connection.begin_nested():
            connection.execute(update(table).where(key).values(**values))
    except IntegrityError:
        return False
    return True


def present(connection: Connection, shelf: Shelf, key: str) -> bool:
    """Whether there is such an offer; nobody else changes it until the transaction ends."""
    column = shelf.offers.c[shelf.key]
    found = connection.execute(select(column).where(column == key, column != PLACEHOLDER).with_for_update())
    return found.first() is not None


def remove(connection: Connection, shelf: Shelf, key: str) -> bool:
    """Delete an offer. False when a load balancer that is not DELETED has it."""
    chosen = t.load_balancer.c[shelf.chosen]
    deleted = and_(chosen == key, t.load_balancer.c.provisioning_status == str(Provisioning.DELETED))
    if connection.execute(select(chosen).where(deleted).limit(1)).first():
        _hold_place(connection, shelf)
        connection.execute(update(t.load_balancer).where(deleted).values({shelf.chosen: PLACEHOLDER}))
    try:
        # The foreign key knows better than any look before: a load balancer may just be created.
        with connection.begin_nested():
            connection.execute(delete(shelf.offers).where(shelf.offers.c[shelf.key] == key))
    except IntegrityError:
        return False
    return True


def remove_profile(connection: Connection, shelf: Shelf, profile_id: str) -> bool:
    """Delete a profile. False when an offer is made of it."""
    try:
        with connection.begin_nested():
            connection.execute(delete(shelf.profiles).where(shelf.profiles.c.id == profile_id))
    except IntegrityError:
        return False
    return True


def _hold_place(connection: Connection, shelf: Shelf) -> None:
    """Make the rows that DELETED load balancers refer to when their offer is gone (contract 98, section 3)."""
    name = {"name": "DELETED-PLACEHOLDER"}
    data = {"id": PLACEHOLDER, **name, "provider_name": "DELETED", shelf.data: "{}"}
    add(connection, shelf.profiles, data)
    row = {**name, "enabled": False, shelf.profile_id: PLACEHOLDER, shelf.key: PLACEHOLDER}
    add(connection, shelf.offers, row)


def compute_zone(connection: Connection, zone: str | None) -> str | None:
    """The zone that the hosts of an availability zone must be in: what it calls `compute_zone` (contract 60,
    section 5.1), or else its name."""
    if zone is None:
        return None
    found = offer(connection, ZONES, zone)
    data = {} if found is None else msgspec.json.decode(found.data)
    return str(data.get("compute_zone") or zone)
