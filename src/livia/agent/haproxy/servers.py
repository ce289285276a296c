"""What HAProxy must be told for the servers of one backend to become others. Pure.

Weight, address, administrative state and the target of checks are altered in place. Whether a server is a backup,
and how often it is checked, is fixed when it is made (management guide, section 9.3, `set server`). Such a member
is replaced without losing a request, also when it is the only one:

1. a twin with the new words comes under a name of its own, as healthy as the old server is thought to be;
2. the old server gets nothing more and is deleted when its last request has been answered;
3. the member's own name is taken by another new server, and the twin leaves like the old one.

At each moment at least one of them takes requests, and in the end HAProxy has what the file says. Where clients
stay at a member by its name or id (stick tables, cookies, hashes of addresses) a twin would lose them, so there a
new worker is loaded instead: it keeps names and ids.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from livia.agent.familiar import apart
from livia.agent.haproxy.backend import HASHES
from livia.agent.haproxy.server import first_id, ids, words
from livia.agent.haproxy.text import line
from livia.agent.haproxy.tls import server_words
from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import backend_name
from livia.agent.probes.target import probed
from livia.core.spec import ListenerSpec, MemberSpec, MonitorSpec, PoolSpec

#: what the twin of a member is called, after the member's id, which has no colon
_TWIN = ":twin"


class Command(Struct, frozen=True):
    """A runtime command. It worked when HAProxy answers nothing or something with `answer` in it."""

    text: str
    answer: str = ""


class Departure(Struct, frozen=True):
    """A server to take away once its last request has been answered, and what it was made from."""

    path: str
    member: MemberSpec
    monitor: MonitorSpec | None


class Replacement(Struct, frozen=True):
    """A member at `path` whose server is to be made anew; `twin` takes its place until then."""

    path: str
    twin: str
    arrival: tuple[Command, ...]
    departure: Departure


class AtRuntime(Struct, frozen=True):
    """Commands in order, servers that are replaced, and servers that then leave. Empty: nothing to do."""

    commands: tuple[Command, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    departures: tuple[Departure, ...] = ()
    #: servers that were leaving and now stay
    returns: tuple[str, ...] = ()


class ByReload(Struct, frozen=True):
    """Only a new worker can do it."""

    reason: str


class Surroundings(Struct, frozen=True):
    """What HAProxy has beside the file. `leaving`: servers that still finish requests, with what each was made from
    where that is known; `twins`: members' paths to those of the twins that stand in for them."""

    leaving: Mapping[str, Departure | None] = {}
    twins: Mapping[str, str] = {}


def twin_of(name: str) -> str:
    """The name of a member's twin, or the path of it."""
    return name + _TWIN


def steps(listener: ListenerSpec, old: PoolSpec, new: PoolSpec, around: Surroundings) -> AtRuntime | ByReload:
    """How the servers of a listener's pool change. The pools differ in members, in the rhythm of their monitor and in
    what their key material is at most."""
    if new.tls is not None and new.tls.certificate is not None and bool(old.members) != bool(new.members):
        # `add server` takes certificates only that HAProxy has read for another server (manual, section 9.3), and the
        # key of the last one would stay in its memory.
        return ByReload("the first or the last member of a pool with a client certificate")
    alike = _checks(old) == _checks(new)
    was, comes = _concerned(old, new) if alike else (old.members, new.members)
    before = {member.id: member for member in was}
    now: Mapping[str, int] = {}
    if before.keys() != {member.id for member in comes}:
        now, then = ids(new), ids(old)
        if any(now[name] != then[name] for name in now.keys() & then.keys()):
            return ByReload("a member's server needs another id")
    course = _Course(listener, old, new, around, now)
    commands: list[Command] = []
    replacements: list[Replacement] = []
    returns: list[str] = []
    for member in comes:
        previous = before.pop(member.id, None)
        if alike and previous == member:
            continue
        step = course.step(previous, member)
        if isinstance(step, ByReload):
            return step
        if isinstance(step, Replacement):
            replacements.append(step)
        else:
            commands += step
        if previous is None and course.path(member) in around.leaving:
            returns.append(course.path(member))
    departures = tuple(course.departure(member) for member in before.values())
    return AtRuntime(tuple(commands), tuple(replacements), departures, tuple(returns))


def _concerned(old: PoolSpec, new: PoolSpec) -> tuple[Sequence[MemberSpec], Sequence[MemberSpec]]:
    there, here = apart(old.members, new.members)
    return old.members[there], new.members[here]


class _Course(Struct, frozen=True):
    """From one pool of a listener to another, member by member. `numbers`: the ids of servers that come, by member."""

    listener: ListenerSpec
    old: PoolSpec
    new: PoolSpec
    around: Surroundings
    numbers: Mapping[str, int]

    def path(self, member: MemberSpec) -> str:
        """The member's own server; a twin may stand in for it."""
        return f"{backend_name(self.new.id, self.listener.id)}/{member.id}"

    def step(self, previous: MemberSpec | None, member: MemberSpec) -> list[Command] | Replacement | ByReload:
        """What a member takes that was another before, or none."""
        path, around = self.path(member), self.around
        if previous is None and path not in around.leaving:
            return arrival(path, self.listener, self.new, member, self.numbers[member.id])
        if previous is None:
            return _revive(path, around.leaving[path], _checks(self.new), member)
        if _fixed(_checks(self.old), previous) != _fixed(_checks(self.new), member):
            return self._replacement(path, previous, member)
        return _alter(around.twins.get(path, path), previous, member, checked=checked(self.new))

    def departure(self, member: MemberSpec) -> Departure:
        """How a member goes that is no longer in the pool."""
        path = self.path(member)
        return Departure(self.around.twins.get(path, path), member, _checks(self.old))

    def _replacement(self, path: str, previous: MemberSpec, member: MemberSpec) -> Replacement | ByReload:
        pool, around = self.new, self.around
        if pool.persistence is not None or pool.algorithm in HASHES:
            return ByReload("a member that clients are bound to is made anew")
        if probed(pool):
            return ByReload("a member that the agent checks is made anew: verdicts are on servers of its name")
        twin = twin_of(path)
        if path in around.twins or twin in around.leaving or path in around.leaving:
            return ByReload("a member is replaced again before its last request was answered")
        coming = arrival(twin, self.listener, pool, member, first_id(twin))
        return Replacement(path, twin, tuple(coming), Departure(path, previous, _checks(self.old)))


def arrival(path: str, listener: ListenerSpec, pool: PoolSpec, member: MemberSpec, number: int) -> list[Command]:
    """Make a server and let it take requests, unless its member is disabled."""
    # A server that is added has nothing of the backend's default-server line.
    every = [*words(pool, member, number), *server_words(listener, pool)]
    commands = [Command(line("add", "server", path, *every), "New server registered")]
    if checked(pool):
        commands.append(Command(f"enable health {path}"))
    if member.enabled:
        # Up at once, as HAProxy starts its servers; the first failed check takes it down.
        commands.append(Command(f"enable server {path}"))
    elif checked(pool):
        # It is in maintenance from its beginning, and would be checked all the same: checks rest when a server goes
        # there. Draining, where it is for a moment, it gets nothing either.
        commands += [Command(f"set server {path} state {state}") for state in ("drain", "maint")]
    return commands


def _checks(pool: PoolSpec) -> MonitorSpec | None:
    """The monitor, where it is HAProxy that checks."""
    return pool.monitor if checked(pool) else None


def _fixed(monitor: MonitorSpec | None, member: MemberSpec) -> tuple[object, ...]:
    """What cannot be altered on a server. A target of checks that is the member's own address is no target that
    could be set."""
    if monitor is None:
        return (member.backup,)
    return (
        member.backup,
        monitor.delay,
        monitor.rise,
        monitor.fall,
        member.monitor_address is None,
        member.monitor_port is None,
    )


def _revive(
    path: str, leaving: Departure | None, monitor: MonitorSpec | None, member: MemberSpec
) -> list[Command] | ByReload:
    if leaving is None or _fixed(leaving.monitor, leaving.member) != _fixed(monitor, member):
        return ByReload("a member came back before its last request was answered")
    # It is in maintenance, and its address was changed to close idle connections.
    gone = replace(leaving.member, enabled=False, address="0.0.0.0", port=0)  # noqa: S104 - no bind
    return _alter(path, gone, member, checked=monitor is not None)


def _alter(path: str, old: MemberSpec, new: MemberSpec, *, checked: bool) -> list[Command]:
    commands: list[Command] = []
    if (old.address, old.port) != (new.address, new.port):
        commands.append(Command(f"set server {path} addr {new.address} port {new.port}", "change"))
    if checked and old.monitor_address != new.monitor_address:
        commands.append(Command(f"set server {path} check-addr {new.monitor_address}"))
    if checked and old.monitor_port != new.monitor_port:
        commands.append(Command(f"set server {path} check-port {new.monitor_port}"))
    if old.weight != new.weight:
        commands.append(Command(f"set server {path} weight {new.weight}"))
    if old.enabled != new.enabled:
        commands.append(Command(f"set server {path} state {'ready' if new.enabled else 'maint'}"))
    return commands
