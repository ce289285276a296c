"""Quotas: how many objects a project may have (contract 00, section 13; contract 60, section 1)."""

from collections.abc import Mapping

from sqlalchemy import Connection

from livia.core.rules.state import quota_met
from livia.services.change import Change
from livia.services.context import Deps, refuse
from livia.services.settings import ApiSettings
from livia.store import quotas
from livia.store.tables import QUOTA_RESOURCES


def defaults(settings: ApiSettings) -> dict[str, int]:
    """Kind to the number that a project may have without a limit of its own; -1: any number."""
    return {kind: getattr(settings, f"default_{kind}_quota") for kind in QUOTA_RESOURCES}


def put(deps: Deps, project_id: str, limits: Mapping[str, int | None]) -> None:
    """Set limits of a project; None: the default applies. What is there already stays, however many it is."""
    deps.database.transaction(lambda connection: quotas.put(connection, project_id, limits))


def reset(deps: Deps, project_id: str) -> None:
    """Let the defaults apply to a project again. Twice changes nothing."""
    deps.database.transaction(lambda connection: quotas.reset(connection, project_id))


def check(
    deps: Deps, connection: Connection, project_id: str, growth: Mapping[str, int]
) -> Mapping[str, int | None] | None:
    """Raise the 403 when a project would have more than it may. `growth`: kind to the number of new objects. The
    project's own limits, as `quotas.limits` has them, where it grows."""
    growing = _growing(growth)
    own = quotas.limits(connection, project_id) if growing else None
    for kind, limit in _limited(deps, own, growing).items():
        if quotas.used(connection, project_id, kind) + growth[kind] > limit:
            raise refuse(quota_met(kind))
    return own


def take(change: Change, growth: Mapping[str, int]) -> None:
    """The same for the project of a change, and no other request of it counts before the change ends."""
    growing, state = _growing(growth), change.state
    # Lists of quotas show every project that something was counted for: the first time makes its row.
    if growing and (state.limits is None or _limited(change.deps, state.limits, growing)):
        # Without the lock two requests would both count themselves in as the last one.
        quotas.lock(change.connection, state.project_id)
        check(change.deps, change.connection, state.project_id, growth)


def _growing(growth: Mapping[str, int]) -> list[str]:
    return [kind for kind, number in growth.items() if number > 0]


def _limited(deps: Deps, own: Mapping[str, int | None] | None, growing: list[str]) -> dict[str, int]:
    """The limits that growth can run into. `own`: those of the project."""
    limits: dict[str, int] = {}
    for kind in growing:
        stored = None if own is None else own[kind]
        limit = getattr(deps.settings, f"default_{kind}_quota") if stored is None else stored
        if limit >= 0:
            limits[kind] = limit
    return limits
