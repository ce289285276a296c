"""Quotas: how many objects a project may have (contract 00, section 13)."""

from collections.abc import Mapping

from sqlalchemy import Connection

from livia.core.rules.state import quota_met
from livia.services.context import Deps, refuse
from livia.store import quotas


def check(deps: Deps, connection: Connection, project_id: str, growth: Mapping[str, int]) -> None:
    """Raise the 403 when a project would have more than it may. `growth`: kind to the number of new objects."""
    for kind, limit in _limited(deps, connection, project_id, growth).items():
        if quotas.used(connection, project_id, kind) + growth[kind] > limit:
            raise refuse(quota_met(kind))


def take(deps: Deps, connection: Connection, project_id: str, growth: Mapping[str, int]) -> None:
    """The same, and no other request of the project counts before this transaction ends."""
    if _limited(deps, connection, project_id, growth):
        # Without the lock two requests would both count themselves in as the last one.
        quotas.lock(connection, project_id)
        check(deps, connection, project_id, growth)


def _limited(deps: Deps, connection: Connection, project_id: str, growth: Mapping[str, int]) -> dict[str, int]:
    """The limits that growth can run into."""
    growing = {kind: number for kind, number in growth.items() if number > 0}
    if not growing:
        return {}
    own = quotas.limits(connection, project_id)
    limits: dict[str, int] = {}
    for kind in growing:
        stored = own[kind]
        limit = getattr(deps.settings, f"default_{kind}_quota") if stored is None else stored
        if limit >= 0:
            limits[kind] = limit
    return limits
