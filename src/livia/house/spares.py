"""Keeps spare amphorae ready (contract 90, [house_keeping]).

A spare holds a place on a host, so that a full installation still has room for what replaces a dead amphora. It runs
nothing: in a namespace an amphora is built in the time that one is configured, and a spare saves the choice of a host.
"""

from collections import Counter
from uuid import uuid4

from prometheus_client import CollectorRegistry

from livia.core.clock import Clock
from livia.core.model.amphora import AmphoraHost
from livia.house.runner import Outcome, Turn
from livia.house.shown import Shown
from livia.store import hosts, spares
from livia.store.engine import Database


class Spares:
    """A Job. `size`: of the pool; `silence`: seconds after which the spares of a host are given up."""

    name = "spares"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        interval: float,
        size: int,
        silence: float,
    ) -> None:
        self.interval = interval
        self._database = database
        self._clock = clock
        self._size = size
        self._silence = silence
        self._ready = Shown("livia_spare_amphorae", "Spare amphorae that are ready.", [], registry)

    def run(self, turn: Turn) -> Outcome:
        """Give up the spares of hosts that are lost or being drained, and those that are too many; fill the pool."""
        with self._database.read() as connection:
            known, ready = hosts.every(connection), spares.ready(connection)
        usable = {host.id: host for host, age in known if age < self._silence and not host.draining}
        staying = [spare for spare in ready if spare.host in usable][: self._size]
        given_up = 0
        for spare in ready:
            if spare not in staying:
                turn.step()
                given_up += self._drop(spare.id)
        added = self._fill(turn, usable, Counter(spare.host for spare in staying))
        self._ready.show({(): len(staying) + added})
        reason = f"{len(staying) + added} of {self._size} spares are ready, {added} new, {given_up} given up"
        if len(staying) + added < self._size:
            reason += "; no host that is alive and not being drained has room for more"
        return Outcome(done=added + given_up, reason=reason)

    def hide(self) -> None:
        """Another process keeps them."""
        self._ready.hide()

    def _drop(self, amphora_id: str) -> bool:
        now = self._clock.now()
        return self._database.transaction(lambda connection: spares.drop(connection, amphora_id, now))

    def _fill(self, turn: Turn, usable: dict[str, AmphoraHost], placed: Counter[str | None]) -> int:
        """Add what is missing, where the fewest are: how many that were."""
        room = {key: host.capacity - host.amphora_count for key, host in usable.items()}
        added = 0
        while placed.total() < self._size:
            free = [key for key in room if room[key] > 0]
            if not free:
                break
            turn.step()
            chosen = min(free, key=lambda key: (placed[key], -room[key], key))
            self._add(usable[chosen])
            placed[chosen] += 1
            room[chosen] -= 1
            added += 1
        return added

    def _add(self, host: AmphoraHost) -> None:
        amphora_id, now = str(uuid4()), self._clock.now()
        self._database.transaction(lambda connection: spares.add(connection, amphora_id, host, now))
