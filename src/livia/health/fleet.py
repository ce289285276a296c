"""The fleet in memory: who was heard when, what it said, and what of it is not written yet."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from threading import Condition, Lock

from msgspec import Struct

from livia.core.report import HEARTBEAT_VERSION, Heartbeat, HostFacts
from livia.core.rules.operating_status import Confirmed, learn
from livia.health.counts import Counts, add_up, columns, open_now, totals_of

#: rows and amphorae that are looked at while the receiver waits: some milliseconds
_AT_ONCE = 1000
#: batches of `last_update` whose time is remembered as ours: of a quarter of an hour, in a fleet of 20,000
_MOST_MOMENTS = 10_000


class Changes(Struct, frozen=True, kw_only=True):
    """What the writer has to look at, and hosts that spoke. `changed`: amphorae that say something else than before;
    `waiting`: some of those that must be looked at whatever they say, those first that wait longest. `more`: others
    of these wait."""

    changed: frozenset[str]
    waiting: tuple[str, ...]
    hosts: dict[str, HostFacts]
    more: bool


class Look(Struct, frozen=True, gc=False):
    """What a load balancer's statuses were derived from: the report that counted, and its row when it was ACTIVE."""

    heartbeat: Heartbeat
    enabled: bool
    generation: int


class Report(Struct, gc=False):
    """The last heartbeat of an amphora. `superseded`: another health manager has heard it since. `settled`: the
    generation up to which the members' rows are known to say what it says of them, if they are. `spell`: of the
    `Fleet`'s spells between two writes of who was heard the last one in which it was. `waits`: it is to be counted."""

    at: float
    heartbeat: Heartbeat
    superseded: bool = False
    settled: int | None = None
    spell: int = -1
    waits: bool = False


class Fleet:
    """Written by the receiver, read by the writer and the watch. Times are monotonic seconds.

    `gap`: seconds without a single heartbeat after which we count as having been cut off.
    """

    def __init__(self, *, gap: float = float("inf")) -> None:
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._gap = gap
        self._seen: dict[str, Report] = {}
        #: of agents that tell no generation; the others are not asked about
        self._confirmed: dict[str, Confirmed] = {}
        self._dirty: set[str] = set()
        #: in the order in which they began to wait; never any that is dirty
        self._waiting: dict[str, None] = {}
        self._again: dict[str, Look | None] = {}
        self._heard: list[str] = []
        self._spell = 0
        #: in the order in which they began to wait; of those that are seen, the ones whose report `waits`
        self._uncounted: dict[str, None] = {}
        self._told: dict[tuple[str, str], dict[str, int]] = {}
        self._added: dict[tuple[str, str], dict[str, int]] = {}
        self._stated: dict[tuple[str, str], dict[str, int]] = {}
        self._open: dict[tuple[str, str], int] = {}
        #: times of `last_update` that are ours, in order; each is of a batch
        self._moments: dict[datetime, None] = {}
        self._hosts: dict[str, HostFacts] = {}
        self._known_hosts: set[str] = set()
        self._hurry = False
        #: when anybody was last heard
        self.anybody = float("-inf")
        #: when somebody was heard again after nobody had been
        self.resumed = float("-inf")

    def hear(self, heartbeats: Iterable[Heartbeat], at: float) -> None:
        """Take in authentic heartbeats, in order of their arrival."""
        with self._lock:
            for heartbeat in heartbeats:
                if at - self.anybody > self._gap:
                    self.resumed = at
                self.anybody = at
                if heartbeat.host is None:
                    self._hear(heartbeat, at)
                else:
                    self._hear_host(heartbeat.id, heartbeat.host)

    def _hear(self, heartbeat: Heartbeat, at: float) -> None:
        key = heartbeat.id
        seen = self._seen.get(key)
        if len(heartbeat.totals) < len(heartbeat.listeners):
            self._add(heartbeat)
        if seen is None:
            seen = self._seen[key] = Report(at, heartbeat)
            self._wait(key)
            self._hasten()
        else:
            self._compare(seen, heartbeat)
            seen.at, seen.heartbeat, seen.superseded = at, heartbeat, False
        # To look whether it is there already would cost as much as to add it, several times in a second.
        if seen.spell != self._spell:
            seen.spell = self._spell
            self._heard.append(key)
        if not seen.waits:
            seen.waits = True
            self._uncounted[key] = None

    def _compare(self, seen: Report, heartbeat: Heartbeat) -> None:
        key, before = heartbeat.id, seen.heartbeat
        if seen.superseded:
            # What another manager wrote of it since may differ from what both of these beats say.
            self._wait(key)
            seen.settled = None
        says_else = differs(before, heartbeat)
        if says_else:
            seen.settled = None
        if says_else or before.generation != heartbeat.generation:
            self._waiting.pop(key, None)
            self._dirty.add(key)
            self._hasten()

    def _wait(self, key: str) -> None:
        if key not in self._dirty:
            self._waiting[key] = None

    def _hear_host(self, key: str, facts: HostFacts) -> None:
        self._hosts[key] = facts
        if key not in self._known_hosts:
            self._known_hosts.add(key)
            self._hasten()

    def take(self, timeout: float) -> Changes:
        """What changed since the last call; waits at most `timeout` seconds for a changed status or a new host.

        Of the others that are to be looked at, a whole fleet after a start, it takes about a thousand: what changes
        meanwhile must not wait for all of them.
        """
        with self._changed:
            if not self._hurry:
                self._changed.wait(timeout)
            waiting = tuple(islice(self._waiting, _AT_ONCE))
            for each in waiting:
                del self._waiting[each]
            self._hurry = more = bool(self._waiting)
            changes = Changes(changed=frozenset(self._dirty), waiting=waiting, hosts=self._hosts, more=more)
            self._dirty, self._hosts = set(), {}
            return changes

    def put_back(self, changes: Changes) -> None:
        """The changes could not be written: they count as not taken."""
        with self._lock:
            self._dirty |= changes.changed
            self._waiting = {each: None for each in (*changes.waiting, *self._waiting) if each not in self._dirty}
            self._hosts = {**changes.hosts, **self._hosts}

    def take_heard(self) -> set[str]:
        """The amphorae that spoke since the last call."""
        with self._lock:
            heard, self._heard = self._heard, []
            self._spell += 1
        return set(heard)

    def put_back_heard(self, amphora_ids: Iterable[str]) -> None:
        """That they spoke could not be written: they count as not taken."""
        with self._lock:
            self._heard.extend(amphora_ids)

    def take_counts(self) -> Counts:
        """What was counted since the last call, about a thousand rows of it."""
        with self._lock:
            totals: dict[tuple[str, str], dict[str, int]] = {}
            looked_at = 0
            for amphora_id in islice(self._uncounted, _AT_ONCE):
                if len(totals) >= _AT_ONCE:
                    break
                looked_at += 1
                seen = self._seen.get(amphora_id)
                if seen is None:
                    continue
                seen.waits = False
                for key, total in totals_of(seen.heartbeat):
                    if self._told.get(key) != total:
                        self._told[key] = totals[key] = total
            for amphora_id in list(islice(self._uncounted, looked_at)):
                del self._uncounted[amphora_id]
            added = {key: self._added.pop(key) for key in list(islice(self._added, _AT_ONCE))}
            stated = {key: self._stated.pop(key) for key in list(islice(self._stated, _AT_ONCE))}
            more = bool(self._uncounted or self._added or self._stated)
            return Counts(totals=totals, added=added, stated=stated, more=more)

    def put_back_counts(self, counts: Counts) -> None:
        """The counts could not be written: they count as not taken."""
        with self._lock:
            for key, total in counts.totals.items():
                if self._told.get(key) is total:
                    del self._told[key]
                    self._uncounted[key[1]] = None
                    if seen := self._seen.get(key[1]):
                        seen.waits = True
            for key, count in counts.added.items():
                add_up(self._added, key, {**count, **open_now(self._added.get(key, count))})
            self._stated = {**counts.stated, **self._stated}

    def look_again(self, looks: Mapping[str, Look | None]) -> None:
        """The statuses of these amphorae's load balancers could not be settled yet, or not for good: to look at them
        again, if what they were derived from is not what there is then, or (None) in any case."""
        with self._lock:
            self._again |= looks

    def take_again(self) -> dict[str, Look | None]:
        """Those that are to be looked at again, and not looked at before."""
        with self._lock:
            again, self._again = self._again, {}
            return {key: look for key, look in again.items() if key not in self._dirty and key not in self._waiting}

    def reports(self, amphora_ids: Collection[str]) -> dict[str, Report]:
        """The last reports of those amphorae that were heard, as they are now."""
        found = {}
        for batch in _some(amphora_ids):
            with self._lock:
                for each in batch:
                    if seen := self._seen.get(each):
                        found[each] = Report(seen.at, seen.heartbeat, seen.superseded, seen.settled)
        return found

    def unsettle(self, amphora_ids: Iterable[str]) -> None:
        """What the members' rows of these amphorae say is not known any more."""
        with self._lock:
            for each in amphora_ids:
                if each in self._seen:
                    self._seen[each].settled = None

    def settle(self, amphora_id: str, heartbeat: Heartbeat, generation: int) -> None:
        """The members' rows up to `generation` say what this heartbeat says, which may not be the last any more."""
        with self._lock:
            seen = self._seen.get(amphora_id)
            if seen is not None and seen.heartbeat is heartbeat:
                seen.settled = generation

    def stands_for(self, amphora_id: str, at: float, applied: int) -> int:
        """The generation that the heartbeat stands for which came `at` then, of an agent that tells none. `applied`:
        what it confirmed last, as its row said just now."""
        with self._lock:
            seen = self._seen.get(amphora_id)
            if seen is None:
                return 0
            known = learn(self._confirmed.get(amphora_id), applied, at, seen.at)
            self._confirmed[amphora_id] = known
            return known.stands_for(at)

    def last_heard(self, amphora_id: str) -> float | None:
        """When the amphora last spoke."""
        seen = self._seen.get(amphora_id)
        return None if seen is None else seen.at

    def times(self) -> dict[str, float]:
        """When each amphora last spoke."""
        # One step takes them all: the receiver need not wait.
        return {key: seen.at for key, seen in list(self._seen.items())}

    def heartbeats(self) -> dict[str, Heartbeat]:
        """What each amphora said last."""
        return {key: seen.heartbeat for key, seen in list(self._seen.items())}

    def wrote(self, moment: datetime) -> None:
        """We are about to write `moment` into the database as the time when amphorae were heard."""
        with self._lock:
            self._moments[moment] = None
            while len(self._moments) > _MOST_MOMENTS:
                self._moments.pop(next(iter(self._moments)))

    def is_ours(self, moment: datetime) -> bool:
        """Whether it was us who wrote this time of the last heartbeat: now, or since rows were read."""
        return moment in self._moments

    def supersede(self, amphora_ids: Iterable[str]) -> None:
        """Another health manager heard the amphorae after us."""
        for batch in _some(amphora_ids):
            with self._lock:
                for each in batch:
                    if each in self._seen:
                        self._seen[each].superseded = True

    def keep_only(self, amphora_ids: frozenset[str]) -> frozenset[str]:
        """Forget all others but those whose last words are not counted yet; returns the forgotten."""
        with self._lock:
            if self._seen.keys() <= amphora_ids:
                return frozenset()
            gone = self._seen.keys() - amphora_ids - self._uncounted.keys()
            for each in gone:
                del self._seen[each]
            self._dirty -= gone
            for each in gone:
                self._confirmed.pop(each, None)
                self._waiting.pop(each, None)
                self._again.pop(each, None)
            if gone:
                self._told = {key: each for key, each in self._told.items() if key[1] not in gone}
                self._open = {key: each for key, each in self._open.items() if key[1] not in gone}
            return frozenset(gone)

    @property
    def pending(self) -> int:
        """Amphorae whose changed statuses or counters are not written yet."""
        with self._lock:
            return len(self._dirty | self._waiting.keys() | self._again.keys() | self._uncounted.keys())

    @property
    def size(self) -> int:
        """Amphorae that were heard."""
        return len(self._seen)

    def _hasten(self) -> None:
        self._hurry = True
        self._changed.notify()

    def _add(self, heartbeat: Heartbeat) -> None:
        for listener_id, report in heartbeat.listeners.items():
            if listener_id in heartbeat.totals:
                continue
            key, stats = (listener_id, heartbeat.id), report.stats
            if heartbeat.ver < HEARTBEAT_VERSION:
                if self._told.get(key) != (count := columns(stats)):
                    self._told[key] = self._stated[key] = count
                continue
            # A listener's first report counts even if it has nothing to count: statistics exist from then on.
            if stats.totconns or stats.rx or stats.tx or stats.ereq or stats.conns != self._open.get(key):
                add_up(self._added, key, columns(stats))
                self._open[key] = stats.conns


def _some(amphora_ids: Iterable[str]) -> Iterator[list[str]]:
    """As many at a time as the lock is held for."""
    ids = iter(amphora_ids)
    while batch := list(islice(ids, _AT_ONCE)):
        yield batch


def differs(before: Heartbeat, now: Heartbeat) -> bool:
    """Whether anything but counters and generation changed."""
    if before.holds_vip != now.holds_vip or (before.pools is not now.pools and before.pools != now.pools):
        return True
    told, tells = before.listeners, now.listeners
    if len(told) != len(tells):
        return True
    for key, each in tells.items():
        last = told.get(key)
        if last is None or last.status != each.status:
            return True
    return False
