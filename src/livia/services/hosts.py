"""What operators do to amphora hosts: empty them for maintenance, and forget those that are lost."""

from msgspec import Struct
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.model.amphora import AmphoraHost
from livia.core.model.event import Event, Severity
from livia.core.plan.placement import Loss, losses
from livia.core.wake import Wake
from livia.services.context import new_request_id
from livia.store import amphorae, events, hosts, spares, work
from livia.store.engine import Database


class HostError(Exception):
    """Why it was not done, as one sentence."""


class HostView(Struct, frozen=True, kw_only=True):
    """A host, the seconds since it was heard of, what is the matter with it, and what its loss would cost."""

    host: AmphoraHost
    age: float
    state: str
    loss: Loss


def view(database: Database, silence: float) -> tuple[HostView, ...]:
    """Every host. One that was not heard of for `silence` seconds counts as lost."""
    with database.read() as connection:
        known = hosts.every(connection)
        cost = {each.host_id: each for each in losses(hosts.placed(connection))}
    count = max((each.load_balancers for each in cost.values()), default=0)
    return tuple(
        HostView(
            host=host,
            age=age,
            state=_state(host, age, silence),
            loss=cost.get(host.id) or Loss(host_id=host.id, load_balancers=count, down=0, interrupted=0),
        )
        for host, age in known
    )


def _state(host: AmphoraHost, age: float, silence: float) -> str:
    if age >= silence:
        return f"lost: silent for {age:.0f} s"
    if not host.draining:
        return "in service"
    return f"draining: {host.amphora_count} left" if host.amphora_count else "drained"


def drain(database: Database, wake: Wake, host_id: str) -> int:
    """Place nothing on a host any more, and replace what is there. How many amphorae that are. Raises HostError.

    It is a state of the host: whoever looks at a load balancer with an amphora there replaces it, one at a time, and
    after every change that somebody asked for.
    """
    return _set(database, wake, host_id, draining=True)


def undrain(database: Database, wake: Wake, host_id: str) -> int:
    """Have amphorae placed there again; those that have not left stay. How many are there. Raises HostError."""
    return _set(database, wake, host_id, draining=False)


def _set(database: Database, wake: Wake, host_id: str, *, draining: bool) -> int:
    request_id = new_request_id()

    def act(connection: Connection) -> list[hosts.Resident]:
        if not hosts.set_draining(connection, host_id, draining=draining):
            raise _unknown(connection, host_id)
        if not draining:
            hosts.offer_room(connection)
        found = hosts.residents(connection, host_id)
        reason = f"host {host_id} is being drained" if draining else f"host {host_id} is in service again"
        for each in found:
            if each.load_balancer_id is not None:
                work.request(
                    connection,
                    each.load_balancer_id,
                    project_id=each.project_id,
                    priority=work.Priority.PERIODIC,
                    reason=reason,
                    request_id=request_id,
                )
        return found

    found = database.transaction(act)
    wake.hint(host_id)
    return len(found)


def remove(database: Database, wake: Wake, clock: Clock, host_id: str, silence: float) -> int:
    """Forget a host that is lost, or empty and ended; what was on it is replaced. How many amphorae that are.

    Raises HostError: a host that reports would be back with its next heartbeat.
    """

    request_id = new_request_id()

    def act(connection: Connection) -> list[hosts.Resident]:
        known = {host.id: (host, age) for host, age in hosts.every(connection)}
        if host_id not in known:
            raise _unknown(connection, host_id)
        found = hosts.residents(connection, host_id)
        host, age = known[host_id]
        if age < silence:
            raise HostError(
                f"Host {host_id} reported {age:.0f} s ago{_first(host, len(found))}, and wait {silence:.0f} s."
            )
        for each in found:
            _replace(connection, clock, host_id, each, request_id)
        hosts.remove(connection, host_id)
        return found

    found = database.transaction(act)
    wake.hint(host_id)
    return len(found)


def _first(host: AmphoraHost, left: int) -> str:
    """What comes before the removal of a host that reports and has `left` amphorae."""
    if not left:
        return ": end its agent"
    if not host.draining:
        return f": drain it first (livia host drain {host.id}), then end its agent"
    amphorae = "1 amphora is" if left == 1 else f"{left} amphorae are"
    return f" and is being drained, {amphorae} left: when none is (livia host list), end its agent"


def _replace(connection: Connection, clock: Clock, host_id: str, lost: hosts.Resident, request_id: str) -> None:
    now = clock.now()
    if lost.load_balancer_id is None and spares.drop(connection, lost.amphora_id, now):
        return
    amphorae.lose(connection, lost.amphora_id, now)
    if lost.load_balancer_id is None:
        return
    sentence = f"Amphora {lost.amphora_id} is replaced: its host {host_id} was removed."
    entry = Event(
        load_balancer_id=lost.load_balancer_id,
        object_type="amphora",
        object_id=lost.amphora_id,
        severity=Severity.WARNING,
        code="amphora.host_removed",
        message=sentence,
        request_id=request_id,
    )
    events.add(connection, entry, now)
    work.request(
        connection,
        lost.load_balancer_id,
        project_id=lost.project_id,
        priority=work.Priority.FAILOVER,
        reason=sentence,
        request_id=request_id,
    )


def _unknown(connection: Connection, host_id: str) -> HostError:
    names = ", ".join(host.id for host, _age in hosts.every(connection)) or "none"
    return HostError(f"There is no amphora host {host_id}. Known: {names}.")
