"""Key material named by a request: read before the transaction, judged in it (contract 20, section 7, rows 21 to 24).

Reading may ask a far side, and no lock is held meanwhile. What a request names is known before; what is stored may
change until the lock is held, and then the request is refused like any other that came in between.
"""

from collections.abc import Mapping
from typing import Any

import structlog

from livia.core.drivers import DriverError
from livia.core.model.secret import Material, Named
from livia.core.rules import references as rules
from livia.core.rules import state
from livia.core.rules.certificates import Fault, Unusable
from livia.core.rules.references import Reading, Readings, Uses
from livia.core.rules.verdict import Verdict
from livia.services.change import Change
from livia.services.context import Deps, refuse
from livia.store import secrets

log = structlog.get_logger()


def read(deps: Deps, project_id: str | None, *wanted: tuple[Uses, Mapping[str, Any]]) -> Readings:
    """Fetch and read what values of the wire name, for load balancers of a project. Not in a transaction."""
    everything = dict.fromkeys(each for uses, values in wanted for each in rules.named(uses, values))
    fetched = {
        reference: _fetch(deps, project_id, reference)
        for reference in dict.fromkeys(each.reference for each in everything)
    }
    return {each: _read(each, fetched[each.reference]) for each in everything}


def verdict(change: Change, uses: Uses, values: Mapping[str, Any], readings: Readings) -> Verdict:
    """Whether what `values` name can be used."""
    if any(each not in readings for each in rules.named(uses, values)):
        # Another request changed a stored reference after ours read it.
        return state.immutable("load_balancer", change.state.id)
    return rules.acceptable(uses, values, readings)


def bind(change: Change, uses: Uses, values: Mapping[str, Any], readings: Readings) -> None:
    """Keep what `values` name, which was accepted, with the load balancer. Raises `Refused`."""
    for each in rules.named(uses, values):
        reading = readings[each]
        assert not isinstance(reading, Unusable)  # noqa: S101 - it was accepted
        secret_id = rules.vault_id(each.reference)
        if secret_id is not None:
            _require_newest(change, each, secret_id, reading)
        change.bind(each, rules.pem(reading))


def _require_newest(change: Change, named: Named, secret_id: str, reading: Reading) -> None:
    """Whoever replaces a secret of the vault gives it to all that name it then: one that names it from now on, and
    read what was there before, would keep that."""
    secrets.hold(change.connection, secret_id)
    if _read(named, _fetch(change.deps, change.state.project_id, named.reference)) != reading:
        raise refuse(state.immutable("load_balancer", change.state.id))


def _fetch(deps: Deps, project_id: str | None, reference: str) -> Material | Unusable:
    try:
        return deps.secrets.read(reference, project_id)
    except DriverError as error:
        log.warning("secret not read", reference=reference, project_id=project_id, code=error.code, reason=str(error))
        return Unusable(Fault.UNREADABLE, error.message)


def _read(wanted: Named, fetched: Material | Unusable) -> Reading:
    return fetched if isinstance(fetched, Unusable) else rules.read(wanted.use, fetched)
