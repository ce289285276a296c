"""Other material under a reference that listeners and pools name: it is bound to all of them again."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from livia.core.model.secret import Use
from livia.core.rules.references import LISTENER, POOL, Readings
from livia.services import references
from livia.services.change import Change, perform, place_of
from livia.services.context import Context, Deps, require
from livia.store import bindings, listeners, load_balancers, pools
from livia.store.bindings import Naming

_USES = {"listener": LISTENER, "pool": POOL}
_CERTIFICATE = {"listener": "default_tls_container_ref", "pool": "tls_container_ref"}
_AUTHORITY = {"listener": listeners.client_authority, "pool": pools.authority}


def renew(deps: Deps, context: Context, reference: str) -> tuple[str, ...]:
    """Read a reference again for whoever names it, and let the worker tell the amphorae. Ids of load balancers.

    Raises `Refused` where the material does not do for what it is used for. Not all may be done then: run it in
    `Database.together` for all or none.
    """
    with deps.database.read() as connection:
        found = bindings.naming(connection, reference)
    each_load_balancer = groupby(found, key=lambda naming: naming.load_balancer_id)
    return tuple(_renew(deps, context, key, reference, tuple(naming)) for key, naming in each_load_balancer)


def _renew(deps: Deps, context: Context, load_balancer_id: str, reference: str, naming: Sequence[Naming]) -> str:
    with deps.database.read() as connection:
        wanted = [(each, _values(connection, each, reference)) for each in naming]
    owner = place_of(deps, "load_balancer", load_balancer_id).project_id
    readings = references.read(deps, owner, *((_USES[each.kind], values) for each, values in wanted))

    def act(change: Change) -> None:
        change.require_mutable()
        for each, values in wanted:
            _bind(change, each, reference, values, readings)

    # Not the tenant's change: it waits for none of them, however strict the service is with those.
    perform(deps, context, load_balancer_id, act, begin=_begin)
    return load_balancer_id


def _begin(connection: Connection, load_balancer_id: str) -> bool:
    return load_balancers.begin_change(connection, load_balancer_id, strict=False)


def _values(connection: Connection, naming: Naming, reference: str) -> dict[str, Any]:
    """What of an object has to be looked at again: a CA and its revocation list only together."""
    authority = _AUTHORITY[naming.kind](connection, naming.object_id)
    values: dict[str, Any] = dict(authority) if reference in authority.values() else {}
    if Use.CERTIFICATE in naming.uses:
        values[_CERTIFICATE[naming.kind]] = reference
    return values


def _bind(change: Change, naming: Naming, reference: str, values: Mapping[str, Any], readings: Readings) -> None:
    uses = _USES[naming.kind]
    require(references.verdict(change, uses, values, readings))
    references.bind(change, uses, values, readings)
    change.mark(naming.kind, (naming.object_id,))
    sentence = f"What {reference} stands for was replaced."
    change.tell(f"{naming.kind}.renew", naming.kind, naming.object_id, sentence)
