"""How to get from what runs to what is wanted with the least disturbance. Pure."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from livia.agent.haproxy.render import Machine, skeleton
from livia.agent.haproxy.server import words
from livia.agent.haproxy.text import line
from livia.agent.haproxy.tls import server_words
from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import backend_name, backends
from livia.core.model.pool import PersistenceType
from livia.core.spec import ListenerSpec, MemberSpec, PoolSpec, Spec


class Command(Struct, frozen=True):
    """A runtime command. It worked when HAProxy answers nothing or something with `answer` in it."""

    text: str
    answer: str = ""


class Departure(Struct, frozen=True):
    """A server to take away once its last request has been answered."""

    path: str
    member: MemberSpec


class AtRuntime(Struct, frozen=True):
    """Commands in order, and servers that then leave. Empty: nothing to do."""

    commands: tuple[Command, ...] = ()
    departures: tuple[Departure, ...] = ()
    #: servers that were leaving and now stay
    returns: tuple[str, ...] = ()


class ByReload(Struct, frozen=True):
    """Only a new worker can do it."""

    reason: str


def plan(
    running: Spec, wanted: Spec, machine: Machine, leaving: Mapping[str, MemberSpec | None]
) -> AtRuntime | ByReload:
    """What HAProxy has to be told. Both specs are valid. `leaving`: servers that still finish requests, with the
    member each was for where that is known."""
    if skeleton(running, machine) != skeleton(wanted, machine):
        return ByReload("more than members changed")
    before = {pool.id: {member.id: member for member in pool.members} for pool in running.pools}
    commands: list[Command] = []
    departures: list[Departure] = []
    returns: list[str] = []
    for listener, pool in backends(wanted):
        backend = backend_name(pool.id, listener.id)
        old = before.get(pool.id, {})
        for member in pool.members:
            path = f"{backend}/{member.id}"
            if member.id in old:
                step = _alter(path, old[member.id], member)
            elif path in leaving:
                step = _revive(path, leaving[path], member)
                returns.append(path)
            else:
                step = _add(path, listener, pool, member, first=not old)
            if isinstance(step, ByReload):
                return step
            commands += step
        kept = {member.id for member in pool.members}
        departures += [Departure(f"{backend}/{name}", member) for name, member in old.items() if name not in kept]
    return AtRuntime(tuple(commands), tuple(departures), tuple(returns))


def _add(
    path: str, listener: ListenerSpec, pool: PoolSpec, member: MemberSpec, *, first: bool
) -> list[Command] | ByReload:
    if pool.persistence is not None and pool.persistence.type is PersistenceType.HTTP_COOKIE:
        return ByReload("a member with a cookie cannot be added at run time")
    if first and pool.tls is not None and pool.tls.certificate is not None:
        # `add server` takes certificates only that HAProxy has read for another server (manual, section 9.3).
        return ByReload("the first member of a pool with a client certificate")
    # A server that is added has nothing of the backend's default-server line.
    every = [*words(pool, member), *server_words(listener, pool)]
    commands = [Command(line("add", "server", path, *every), "New server registered")]
    if checked(pool):
        commands.append(Command(f"enable health {path}"))
    if member.enabled:
        # Up at once, as HAProxy starts its servers; the first failed check takes it down.
        commands.append(Command(f"enable server {path}"))
    return commands


def _revive(path: str, old: MemberSpec | None, new: MemberSpec) -> list[Command] | ByReload:
    if old is None:
        return ByReload("a member came back before its last request was answered")
    # It is in maintenance, and its address was changed to close idle connections.
    return _alter(path, replace(old, enabled=False, address="0.0.0.0", port=0), new)  # noqa: S104 - no bind


def _alter(path: str, old: MemberSpec, new: MemberSpec) -> list[Command] | ByReload:
    movable = replace(old, weight=new.weight, enabled=new.enabled, address=new.address, port=new.port)
    if movable != new:
        return ByReload("a member's monitor address or backup role changed")
    commands: list[Command] = []
    if (old.address, old.port) != (new.address, new.port):
        commands.append(Command(f"set server {path} addr {new.address} port {new.port}", "change"))
    if old.weight != new.weight:
        commands.append(Command(f"set server {path} weight {new.weight}"))
    if old.enabled != new.enabled:
        commands.append(Command(f"set server {path} state {'ready' if new.enabled else 'maint'}"))
    return commands
