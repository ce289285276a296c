"""Operating statuses from what amphorae report (contract 95, section 2.2; contract 00, section 14.4)."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from livia.core.model.status import Operating, Provisioning
from livia.core.report import Heartbeat, PoolReport

_SEVERITY = {Operating.ONLINE: 0, Operating.DEGRADED: 1, Operating.ERROR: 2}


class Part(Struct, frozen=True):
    """A listener or a member: of a whole load balancer only what statuses follow from is read."""

    id: str
    operating_status: Operating
    generation: int
    enabled: bool


class PoolPart(Struct, frozen=True):
    id: str
    operating_status: Operating
    generation: int
    members: tuple[Part, ...]


class AmphoraPart(Struct, frozen=True):
    """Of an amphora's row whether it has the VIP, and the generation that its agent confirmed last."""

    holds_vip: bool
    applied_generation: int


class Observed(Struct, frozen=True, kw_only=True):
    """A load balancer with the statuses that its rows have, and its amphorae by id.

    `partial`: without the members whose rows are known to say what is reported, unless they are in ERROR.
    """

    id: str
    enabled: bool
    operating_status: Operating
    provisioning_status: Provisioning
    generation: int
    listeners: tuple[Part, ...]
    pools: tuple[PoolPart, ...]
    amphorae: Mapping[str, AmphoraPart]
    partial: bool = False


class Statuses(Struct, frozen=True, kw_only=True):
    """The status of each object by id; objects that a report says nothing about keep theirs and are left out."""

    load_balancer: Operating
    listeners: Mapping[str, Operating]
    pools: Mapping[str, Operating]
    members: Mapping[str, Operating]


class Confirmed(Struct, frozen=True):
    """The generation that an agent confirmed last, as far as whoever hears its heartbeats knows. `heard`: when the last
    one had come by the time that this was known; `before`: the generation that heartbeats up to that one stand for."""

    generation: int
    heard: float
    before: int

    def stands_for(self, heard: float) -> int:
        """The generation that a heartbeat stands for which came at `heard`, of an agent that tells none.

        An agent that speaks the upstream wire says what it runs, but not since which change. That it runs what it
        confirmed is known, so it is believed of every object up to that generation. But a heartbeat may have been sent
        before the confirmation and be looked at after it: a listener that was just made would be in ERROR, since it is
        not in there. So the first that counts is the first that came when the confirmation was known already. Until
        then nothing is known of objects that changed meanwhile, and the others are as they were.
        """
        return self.generation if heard > self.heard else self.before


def learn(known: Confirmed | None, generation: int, heard: float, last: float) -> Confirmed:
    """What is known after the row was read, which says that the agent confirmed `generation`.

    `heard`: when the heartbeat came that is looked at, `last`: when one last did, since the row was read.
    """
    if known is None:
        # Of a process that has just started: any heartbeat so far may be older than the confirmation.
        return Confirmed(generation, last, 0)
    # 0 is written to have a spec sent again: the agent runs what it ran all the same.
    if generation in (known.generation, 0):
        return known
    # A database that was restored from a backup knows less than what was confirmed.
    return Confirmed(generation, last, min(known.stands_for(heard), generation))


def deciding(reports: Iterable[Heartbeat]) -> Heartbeat | None:
    """The report that counts: of the amphora with the VIP, for that is what clients meet; else the newest."""
    return max(reports, key=lambda report: (report.holds_vip, report.generation, report.sent), default=None)


def derive(tree: Observed, report: Heartbeat) -> Statuses:
    """What the report makes of every object it can speak for: those not changed after its generation."""
    enabled = tree.enabled
    listeners = {
        listener.id: _listener(listener, report, tree) if enabled else Operating.OFFLINE
        for listener in tree.listeners
        if listener.generation <= report.generation
    }
    pools: dict[str, Operating] = {}
    members: dict[str, Operating] = {}
    # What the report cannot speak for keeps its status, and is no better for its parent than it was.
    stand = {listener.id: listener.operating_status for listener in tree.listeners}
    stand |= {pool.id: pool.operating_status for pool in tree.pools}
    for pool in tree.pools:
        if pool.generation > report.generation:
            continue
        found = _report_of(pool, report) if enabled else None
        known = {member.id: _member(member, found) for member in pool.members if member.generation <= report.generation}
        members |= known
        pools[pool.id] = _pool(found, _standing(pool, known))
    return Statuses(
        load_balancer=_worst({**stand, **listeners, **pools}.values()) if enabled else Operating.OFFLINE,
        listeners=listeners,
        pools=pools,
        members=members,
    )


def _listener(listener: Part, report: Heartbeat, tree: Observed) -> Operating:
    found = report.listeners.get(listener.id)
    if found is not None:
        return Operating.DEGRADED if found.status == "FULL" else Operating.ONLINE
    if listener.enabled and tree.provisioning_status is Provisioning.ACTIVE:
        return Operating.ERROR
    return Operating.OFFLINE


def _report_of(pool: PoolPart, report: Heartbeat) -> PoolReport | None:
    """A pool is reported once per listener that uses it; the checks are the same, so any will do."""
    return next((each for key, each in report.pools.items() if key.partition(":")[0] == pool.id), None)


def _standing(pool: PoolPart, known: Mapping[str, Operating]) -> Iterable[Operating]:
    """The statuses that its members will have. Nearly always the report speaks for all: nothing else is looked at."""
    if len(known) == len(pool.members):
        return known.values()
    return {**{member.id: member.operating_status for member in pool.members}, **known}.values()


def _pool(found: PoolReport | None, members: Iterable[Operating]) -> Operating:
    if found is None:
        return Operating.OFFLINE
    if found.status == "DOWN":
        return Operating.ERROR
    return Operating.DEGRADED if Operating.ERROR in members else Operating.ONLINE


def _member(member: Part, found: PoolReport | None) -> Operating:
    text = None if found is None else found.members.get(member.id)
    if text is None:
        return Operating.NO_MONITOR if member.operating_status is Operating.NO_MONITOR else Operating.OFFLINE
    if text.startswith("UP"):
        return Operating.ONLINE
    if text.startswith("DOWN"):
        return Operating.ERROR
    return {
        "DRAIN": Operating.DRAINING,
        "MAINT": Operating.OFFLINE,
        "no check": Operating.NO_MONITOR,
    }.get(text, member.operating_status)


def _worst(statuses: Iterable[Operating]) -> Operating:
    """OFFLINE children (disabled, or not attached) do not make their load balancer worse."""
    return max(
        (status for status in statuses if status in _SEVERITY), key=_SEVERITY.__getitem__, default=Operating.ONLINE
    )
