"""Amphorae as namespaces on amphora hosts, chosen by load, zone and anti-affinity (design, section 8)."""

import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from msgspec.structs import replace
from sqlalchemy import Connection

from livia.core.drivers import NoCapacity, Placement
from livia.core.model.amphora import Amphora, AmphoraHost, Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.plan.placement import Wanted, choose
from livia.store import hosts, offers
from livia.store.engine import Database

#: seconds for a connection to an agent that shall get an amphora
_ANSWER = 1.0
#: for which a host is the last to be chosen on which an amphora could not be built
_SHUNNED = 600.0


def agent_answers(host: AmphoraHost) -> bool:
    """Whether somebody takes connections where the host's agent says that it is."""
    try:
        socket.create_connection((host.address, host.agent_port), timeout=_ANSWER).close()
    except OSError:
        return False
    return True


class Hosts:
    """A ComputeDriver, with PlacementPreview. A host that was not heard of for `silence` seconds gets no further
    amphora; nor does one whose agent does not answer now: it may have been lost a moment ago, with the amphora that is
    to be replaced. Which hosts are shunned each process finds out for itself."""

    def __init__(
        self, database: Database, *, silence: float, answers: Callable[[AmphoraHost], bool] = lambda _host: True
    ) -> None:
        self._database = database
        self._silence = silence
        self._answers = answers
        #: hosts, and until when they are shunned, in monotonic seconds
        self._shunned: dict[str, float] = {}

    def place(self, load_balancer: LoadBalancer, amphora: Amphora, beside: frozenset[str]) -> Placement:
        mute: set[str] = set()
        while True:
            if amphora.compute_id is not None and (found := self.find(amphora)) is not None:
                return found
            chosen = self._choose(load_balancer.availability_zone, amphora.role, beside, mute)
            # Who else was placed there meanwhile, this load balancer's other amphora for one, changes the choice.
            if self._database.transaction(partial(hosts.claim, host=chosen, amphora_id=amphora.id)):
                return Placement.on(chosen)

    def in_service(self) -> tuple[AmphoraHost, ...]:
        with self._database.read() as connection:
            return tuple(host for host in self._alive(connection) if not host.draining)

    def preview(
        self, zone: str | None, role: Role, beside: frozenset[str], taken: Mapping[str, int]
    ) -> AmphoraHost | None:
        try:
            return self._choose(zone, role, beside, set(), taken)
        except NoCapacity:
            return None

    def _choose(
        self,
        zone: str | None,
        role: Role,
        beside: frozenset[str],
        mute: set[str],
        taken: Mapping[str, int] = MappingProxyType({}),
    ) -> AmphoraHost:
        """The best host that answers; those that do not become `mute`. Raises NoCapacity."""
        while True:
            with self._database.read() as connection:
                wanted = Wanted(
                    zone=offers.compute_zone(connection, zone),
                    beside=hosts.of_amphorae(connection, beside),
                    serving=role is not Role.BACKUP,
                    shunned=self._shuns(),
                )
                alive = [_with(each, taken.get(each.id, 0)) for each in self._alive(connection) if each.id not in mute]
            chosen = choose(tuple(alive), wanted)
            if isinstance(chosen, str):
                raise NoCapacity(f"{chosen} No answer comes from {', '.join(sorted(mute))}." if mute else chosen)
            if self._answers(chosen):
                return chosen
            mute.add(chosen.id)

    def full(self, load_balancer: LoadBalancer) -> str | None:
        with self._database.read() as connection:
            zone = offers.compute_zone(connection, load_balancer.availability_zone)
            chosen = choose(self._alive(connection), Wanted(zone=zone))
        return chosen if isinstance(chosen, str) else None

    def find(self, amphora: Amphora) -> Placement | None:
        if amphora.compute_id is None:
            return None
        with self._database.read() as connection:
            host = hosts.one(connection, amphora.compute_id)
        return None if host is None else Placement.on(host)

    def lost(self, amphora: Amphora) -> str | None:
        if amphora.compute_id is None:
            return None
        with self._database.read() as connection:
            known = hosts.every(connection)
        if not any(age < self._silence for _host, age in known):
            # Nobody is heard: it is not this host's fault.
            return None
        ages = {host.id: age for host, age in known}
        if amphora.compute_id not in ages:
            return f"host {amphora.compute_id} is not registered any more."
        age = ages[amphora.compute_id]
        return f"host {amphora.compute_id} was not heard of for {age:.0f} s." if age >= self._silence else None

    def shun(self, load_balancer: LoadBalancer, amphora: Amphora) -> bool:
        if amphora.compute_id is not None:
            self._shunned[amphora.compute_id] = time.monotonic() + _SHUNNED
        shunned = self._shuns()
        with self._database.read() as connection:
            zone = offers.compute_zone(connection, load_balancer.availability_zone)
            others = tuple(host for host in self._alive(connection) if host.id not in shunned)
        return not isinstance(choose(others, Wanted(zone=zone)), str)

    def _shuns(self) -> frozenset[str]:
        now = time.monotonic()
        return frozenset(key for key, until in self._shunned.copy().items() if until > now)

    def _alive(self, connection: Connection) -> tuple[AmphoraHost, ...]:
        return tuple(host for host, age in hosts.every(connection) if age < self._silence)

    def release(self, amphora: Amphora) -> None:
        """Nothing is held: an amphora's place is its row."""


def _with(host: AmphoraHost, more: int) -> AmphoraHost:
    """A host as if it had `more` amphorae."""
    return replace(host, amphora_count=host.amphora_count + more) if more else host
