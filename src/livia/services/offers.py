"""Use cases of flavors and availability zones, and of the profiles they are made of (contract 60, sections 2 to 5)."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection

from livia.core.rules import offers as rules
from livia.core.rules.state import not_found
from livia.core.rules.verdict import invalid
from livia.services import providers
from livia.services.context import Context, Deps, refuse
from livia.store import offers as store


class Offers:
    """Flavors, or availability zones. `kind`: their name in fault strings."""

    def __init__(self, kind: str, shelf: store.Shelf) -> None:
        self._kind = kind
        self._shelf = shelf

    def create(self, deps: Deps, _context: Context, values: Mapping[str, Any]) -> str:
        """Create an offer from complete values of the wire. Its key. Raises `Refused`."""
        shelf = self._shelf
        row = dict(values)
        if shelf.key == "id":
            row["id"] = deps.new_id()
        key: str = row[shelf.key]

        def act(connection: Connection) -> None:
            if store.profile(connection, shelf, values[shelf.profile_id]) is None:
                raise refuse(invalid(f"Invalid {shelf.profile_id}."))
            if key == rules.PLACEHOLDER or not store.add(connection, shelf.offers, row):
                raise refuse(rules.exists(self._kind, values["name"]))

        deps.database.transaction(act)
        return key

    def update(self, deps: Deps, _context: Context, key: str, changes: Mapping[str, Any]) -> None:
        """Change an offer. Load balancers that have it stay as they are. Raises `Refused`."""
        column = self._shelf.offers.c[self._shelf.key]

        def act(connection: Connection) -> None:
            self._require(connection, key)
            if not store.change(connection, self._shelf.offers, column == key, changes):
                raise refuse(rules.exists(self._kind, changes["name"]))

        deps.database.transaction(act)

    def delete(self, deps: Deps, _context: Context, key: str) -> None:
        """Delete an offer that no load balancer has. Raises `Refused`."""

        def act(connection: Connection) -> None:
            self._require(connection, key)
            if not store.remove(connection, self._shelf, key):
                raise refuse(rules.in_use(self._kind, key))

        deps.database.transaction(act)

    def _require(self, connection: Connection, key: str) -> None:
        if not store.present(connection, self._shelf, key):
            raise refuse(not_found(self._kind, key))


class Profiles:
    """Profiles of flavors, or of availability zones. `check` parses and checks their data for a provider."""

    def __init__(self, kind: str, shelf: store.Shelf, check: Callable[[Deps, str, str], object]) -> None:
        self._kind = kind
        self._shelf = shelf
        self._check = check

    def create(self, deps: Deps, _context: Context, values: Mapping[str, Any]) -> str:
        """Create a profile from complete values of the wire. Its id. Raises `Refused`."""
        self._check(deps, values["provider_name"], values[self._shelf.data])
        row = {**values, "id": deps.new_id()}
        deps.database.transaction(lambda connection: store.add(connection, self._shelf.profiles, row))
        return str(row["id"])

    def update(self, deps: Deps, _context: Context, profile_id: str, changes: Mapping[str, Any]) -> None:
        """Change a profile; of one that is in use only the name. Raises `Refused`."""
        shelf = self._shelf
        weighty = {"provider_name", shelf.data} & set(changes)
        if weighty:
            # Outside the transaction: the check may ask the network service.
            with deps.database.read() as connection:
                stored = self._stored(connection, profile_id)
            self._check(deps, changes.get("provider_name", stored.provider), changes.get(shelf.data, stored.data))

        def act(connection: Connection) -> None:
            if self._stored(connection, profile_id).used and weighty:
                raise refuse(rules.in_use(self._kind, profile_id))
            store.change(connection, shelf.profiles, shelf.profiles.c.id == profile_id, changes)

        deps.database.transaction(act)

    def delete(self, deps: Deps, _context: Context, profile_id: str) -> None:
        """Delete a profile that no offer is made of. Raises `Refused`."""

        def act(connection: Connection) -> None:
            self._stored(connection, profile_id)
            if not store.remove_profile(connection, self._shelf, profile_id):
                raise refuse(rules.in_use(self._kind, profile_id))

        deps.database.transaction(act)

    def _stored(self, connection: Connection, profile_id: str) -> store.Profile:
        found = store.profile(connection, self._shelf, profile_id)
        if found is None:
            raise refuse(not_found(self._kind, profile_id))
        return found


FLAVORS = Offers("flavor", store.FLAVORS)
FLAVOR_PROFILES = Profiles("flavor_profile", store.FLAVORS, providers.flavor_data)
ZONES = Offers("availability_zone", store.ZONES)
ZONE_PROFILES = Profiles("availability_zone_profile", store.ZONES, providers.zone_data)
