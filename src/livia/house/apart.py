"""Pairs whose amphorae ended up together are parted again where there is room: placement keeps two apart, but whatever
moves them for other reasons, or found one host only, does not come back to it.

The amphora without the VIP is replaced, as that of a drained host is: its load balancer serves throughout.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta

import structlog
from msgspec import Struct
from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.drivers import PlacementPreview
from livia.core.model.amphora import AmphoraHost
from livia.core.model.event import Event, Severity
from livia.core.plan.failover import WINDOW
from livia.core.wake import Wake
from livia.house.runner import Outcome, Turn
from livia.services.context import new_request_id
from livia.store import events, pairs, watched, work
from livia.store.engine import Database
from livia.store.pairs import Shared

log = structlog.get_logger()

#: so many amphorae are under way to another host at once, and are asked to go in a turn
MOST_UNDER_WAY = 10
#: seconds after which a pair that shares a host yet again is asked again: a worker may see other hosts than the house
AGAIN = 1800.0
#: code of the event of an amphora that a health manager declared dead
_DEAD = "amphora.dead"


class _Move(Struct, frozen=True):
    """A pair that can be parted, and where its standby would go."""

    pair: Shared
    target: AmphoraHost
    reason: str


class Apart:
    """A Job. `heard`: seconds after which an amphora that no health manager heard counts as silent."""

    name = "apart"

    def __init__(
        self, database: Database, clock: Clock, compute: PlacementPreview, wake: Wake, *, interval: float, heard: float
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._compute = compute
        self._wake = wake
        self._heard = heard

    def run(self, turn: Turn) -> Outcome:
        """Ask for some to be parted that can be, and call off what cannot be any more."""
        hosts = {host.id: host for host in self._compute.in_service()}
        if len(hosts) < 2:
            return Outcome(done=0, reason="there is no other host in service to part pairs")
        with self._database.read() as connection:
            found = pairs.shared(connection, _zones(hosts), now=self._clock.now(), heard=self._heard, again=AGAIN)
        found = [each for each in found if each.host in hosts and each.beside in hosts]
        if not found:
            return Outcome(done=0, reason="no pair shares a host or a zone that may leave it")
        held, under_way = self._situation()
        if held is not None:
            return Outcome(done=0, reason=held)
        asked = self._ask(turn, hosts, found, under_way)
        return Outcome(done=asked, reason=f"{asked} of {len(found)} pairs that share a host or a zone are parted")

    def _situation(self) -> tuple[str | None, int]:
        """Why nobody is moved now, or None; and how many amphorae are being replaced."""
        now, window = self._clock.now(), timedelta(seconds=WINDOW)
        with self._database.read() as connection:
            if pairs.stopped(connection):
                return "failovers are held: too many amphorae are silent", 0
            if watched.recent(connection, _DEAD, now - window, now + window):
                return f"amphorae died within {WINDOW:.0f} s: those that replace them go first", 0
            return None, pairs.replacing(connection)

    def _ask(self, turn: Turn, hosts: dict[str, AmphoraHost], found: list[Shared], under_way: int) -> int:
        """How many were asked. What is under way may take room anywhere, what is asked takes it where it is to go."""
        for pair in found:
            if pair.asked and self._move(pair, hosts, {}) is None:
                turn.step()
                self._call_off(pair)
        taken = dict.fromkeys(hosts, under_way)
        stuck: set[tuple[str | None, str, str]] = set()
        asked = 0
        for pair in (each for each in found if not each.asked):
            if under_way + asked >= MOST_UNDER_WAY:
                break
            place = (pair.zone, pair.host, pair.beside)
            if place in stuck:
                continue
            turn.step()
            move = self._move(pair, hosts, taken)
            if move is None:
                stuck.add(place)
            elif self._part(move):
                taken[move.target.id] += 1
                asked += 1
        return asked

    def _move(self, pair: Shared, hosts: dict[str, AmphoraHost], taken: Mapping[str, int]) -> _Move | None:
        """None: nothing would be better than it is."""
        target = self._compute.preview(pair.zone, pair.role, frozenset({pair.holder_id}), taken)
        if target is None or target.id == pair.beside:
            return None
        if pair.host == pair.beside:
            what, room = f"host {pair.host}", f"host {target.id} has room"
        elif target.availability_zone != hosts[pair.beside].availability_zone:
            what = f"availability zone {hosts[pair.beside].availability_zone}"
            room = f"host {target.id} of another has room"
        else:
            return None
        sentence = f"Amphora {pair.standby_id} is replaced: it shares {what} with the other of its pair, and {room}."
        return _Move(pair, target, sentence)

    def _part(self, move: _Move) -> bool:
        pair, request_id = move.pair, new_request_id()

        def ask(connection: Connection) -> bool:
            now = self._clock.now()
            if not pairs.part(connection, pair, now):
                return False
            events.add(connection, _event(pair, move.reason, request_id), now)
            work.request(
                connection,
                pair.load_balancer_id,
                project_id=pair.project_id,
                priority=work.Priority.PERIODIC,
                reason=move.reason,
                request_id=request_id,
            )
            return True

        if not self._database.transaction(ask):
            return False
        log.info("a pair is parted", amphora=pair.standby_id, reason=move.reason, request_id=request_id)
        self._wake.hint(pair.load_balancer_id)
        return True

    def _call_off(self, pair: Shared) -> None:
        sentence = f"Amphora {pair.standby_id} stays with the other of its pair: no other place has room any more."

        def act(connection: Connection) -> bool:
            now = self._clock.now()
            if not pairs.call_off(connection, pair, now):
                return False
            events.add(connection, _event(pair, sentence, None), now)
            return True

        if self._database.transaction(act):
            log.info("a pair is not parted", amphora=pair.standby_id, reason=sentence)


def _zones(hosts: dict[str, AmphoraHost]) -> list[list[str]]:
    """The hosts of each zone that has room beside it: nothing is better than what shares the only one."""
    zones: dict[str, list[str]] = defaultdict(list)
    for host in hosts.values():
        if host.availability_zone is not None:
            zones[host.availability_zone].append(host.id)
    roomy = {host.availability_zone for host in hosts.values() if host.amphora_count < host.capacity}
    return [ids for zone, ids in sorted(zones.items()) if roomy - {zone}]


def _event(pair: Shared, sentence: str, request_id: str | None) -> Event:
    return Event(
        load_balancer_id=pair.load_balancer_id,
        object_type="amphora",
        object_id=pair.standby_id,
        severity=Severity.INFO,
        code=pairs.APART,
        message=sentence,
        request_id=request_id,
    )
