"""What operators do to single amphorae (contract 70)."""

from sqlalchemy import Connection

from livia.core.model.event import Event, Severity
from livia.core.rules.state import not_found
from livia.services.change import Change, perform
from livia.services.context import Context, Deps, Refused, refuse
from livia.store import amphorae, events, work
from livia.store.amphorae import Place


def place_of(deps: Deps, amphora_id: str) -> Place:
    """Whose an amphora is. Raises the 404."""
    with deps.database.read() as connection:
        return _place(connection, amphora_id)


def failover(deps: Deps, context: Context, amphora_id: str) -> None:
    """Ask the worker to replace one amphora by another with the same role. Raises `Refused`."""
    load_balancer_id = _owner(place_of(deps, amphora_id), amphora_id)

    def act(change: Change) -> None:
        change.require_mutable()
        _place(change.connection, amphora_id)
        amphorae.request_replacement(change.connection, amphora_id, change.now)
        change.tell("amphora.failover", "amphora", amphora_id, "A failover of the amphora was asked for.")

    perform(deps, context, load_balancer_id, act, priority=work.Priority.FAILOVER)


def configure(deps: Deps, context: Context, amphora_id: str) -> None:
    """Ask the worker to send an amphora's agent all that it shall do, anew. No status changes. Raises `Refused`.

    What our agents can be told is in the spec of the amphora: there is no other configuration to send.
    """
    load_balancer_id = _owner(place_of(deps, amphora_id), amphora_id)

    def act(connection: Connection) -> None:
        place = _place(connection, amphora_id)
        amphorae.request_apply(connection, amphora_id, deps.clock.now())
        sentence = "Sending the amphora its configuration anew was asked for."
        _tell(deps, context, connection, load_balancer_id, amphora_id, "amphora.config", sentence)
        work.request(connection, load_balancer_id, project_id=place.project_id, request_id=context.request_id)

    deps.database.transaction(act)
    deps.wake.hint(load_balancer_id)


def delete(deps: Deps, context: Context, amphora_id: str) -> None:
    """Ask the worker to remove an amphora in ERROR. If a load balancer needs it, another takes its place.

    Raises `Refused`.
    """

    def act(connection: Connection) -> str:
        place = _place(connection, amphora_id)
        if not amphorae.request_removal(connection, amphora_id, deps.clock.now()):
            raise Refused(409, f"amphora {amphora_id} is immutable and cannot be updated.")
        if place.load_balancer_id is not None:
            sentence = "The deletion of the amphora was asked for."
            _tell(deps, context, connection, place.load_balancer_id, amphora_id, "amphora.delete", sentence)
        # The worker takes the key of an amphora without a load balancer for the amphora itself.
        key = place.load_balancer_id or amphora_id
        work.request(connection, key, project_id=place.project_id, request_id=context.request_id)
        return key

    deps.wake.hint(deps.database.transaction(act))


def _place(connection: Connection, amphora_id: str) -> Place:
    place = amphorae.place(connection, amphora_id)
    if place is None:
        raise refuse(not_found("amphora", amphora_id))
    return place


def _owner(place: Place, amphora_id: str) -> str:
    if place.load_balancer_id is None:
        raise Refused(409, f"Amphora {amphora_id} belongs to no load balancer.")
    return place.load_balancer_id


def _tell(
    deps: Deps,
    context: Context,
    connection: Connection,
    load_balancer_id: str,
    amphora_id: str,
    code: str,
    sentence: str,
) -> None:
    entry = Event(
        load_balancer_id=load_balancer_id,
        object_type="amphora",
        object_id=amphora_id,
        severity=Severity.INFO,
        code=code,
        message=sentence,
        request_id=context.request_id,
    )
    events.add(connection, entry, deps.clock.now())
