"""Trying again now what is not done yet, for an operator who has mended what it waited for."""

from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.model.event import Event, Severity
from livia.core.model.status import Provisioning
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS
from livia.core.rules.state import TITLES
from livia.services.context import Refused, new_request_id
from livia.store import amphorae, events, load_balancers, objects, standing, work
from livia.store.engine import Database
from livia.store.load_balancers import State
from livia.store.standing import Standing


def retry(database: Database, clock: Clock, object_id: str) -> str:
    """Have a worker look now at the load balancer that an object of any kind is, or belongs to, as for the first time.

    The sentence says what was and what will be. Raises `Refused` with a sentence why not; nothing was changed then.
    """
    return database.transaction(lambda connection: _retry(connection, clock, object_id))


def _retry(connection: Connection, clock: Clock, object_id: str) -> str:
    kind, key = _owner(connection, object_id)
    if kind == "amphora" and key is None:
        return _retry_orphan(connection, object_id)
    state = None if key is None else load_balancers.state(connection, key)
    if state is None:
        raise Refused(404, f"Nothing here has the id {object_id}.")
    before = standing.of(connection, [state.id]).get(state.id)
    _require_work(state, before)
    request_id = new_request_id()
    reason = None if before is None else before.reason
    # First: no pause is kept of what counts as asked for now.
    work.count_anew(connection, state.id)
    work.request(connection, state.id, project_id=state.project_id, reason=reason, request_id=request_id)
    entry = Event(
        load_balancer_id=state.id,
        object_type=kind,
        object_id=object_id,
        severity=Severity.INFO,
        code=f"{kind}.retry",
        message="An operator asked to try again now.",
        request_id=request_id,
    )
    events.add(connection, entry, clock.now())
    subject = f"Load Balancer {state.id}"
    if object_id != state.id:
        subject = f"{TITLES[kind]} {object_id} belongs to {subject}, which"
    return f"{subject} is {state.provisioning_status}. {_told(before)} (request {request_id})"


def _retry_orphan(connection: Connection, amphora_id: str) -> str:
    before = standing.of(connection, [amphora_id]).get(amphora_id)
    if before is None:
        raise Refused(
            409,
            f"Amphora {amphora_id} belongs to no load balancer, and nobody asked for anything to be done with it. "
            "To remove one in ERROR, delete it: DELETE /v2/octavia/amphorae/{id}.",
        )
    work.count_anew(connection, amphora_id)
    request_id = new_request_id()
    work.request(connection, amphora_id, project_id=None, reason=before.reason, request_id=request_id)
    told = f"{_told(before)} (request {request_id})"
    return f"Amphora {amphora_id} belongs to no load balancer and is to be removed. {told}"


def _owner(connection: Connection, object_id: str) -> tuple[str, str | None]:
    """What kind of object it is, and the load balancer it belongs to. Raises the 404."""
    for kind in objects.TABLES:
        place = objects.place(connection, kind, object_id)
        if place is not None:
            return kind, place.load_balancer_id
    amphora = amphorae.place(connection, object_id)
    if amphora is None:
        raise Refused(
            404,
            f"Nothing here has the id {object_id}: give that of a load balancer, of anything that belongs to one, "
            "or of an amphora.",
        )
    return "amphora", amphora.load_balancer_id


def _require_work(state: State, before: Standing | None) -> None:
    if state.provider not in BUILT_IN_PROVIDERS:
        raise Refused(
            409,
            f"Load Balancer {state.id} is of the provider {state.provider}, whose own driver does its work: "
            "there is nothing here to try again.",
        )
    if before is None and state.provisioning_status == Provisioning.ACTIVE:
        raise Refused(
            409,
            f"Load Balancer {state.id} is ACTIVE and nothing is left to do. To build its amphorae anew: openstack "
            f"loadbalancer failover {state.id}",
        )


def _told(before: Standing | None) -> str:
    if before is None:
        return "Nobody was at it; a worker looks at it now."
    reason = "" if not before.reason else f" It waits for: {before.reason.rstrip('.')}."
    if before.worker is not None:
        return f"{before.worker} is at it now, and looks at it once more when it ends.{reason}"
    if before.due_in > 0:
        tries = "once" if before.attempts == 1 else f"{before.attempts} times"
        return (
            f"It was tried {tries}, and would have been again in {before.due_in:.0f} s; a worker looks at it now, and "
            f"pauses between tries are short again.{reason}"
        )
    return f"It has been due for {-before.due_in:.0f} s; a worker looks at it as soon as one is free.{reason}"
