"""The fleet in memory: who was heard when, what it said, and what of it is not written yet."""

from collections import defaultdict
from threading import Condition, Lock

from msgspec import Struct

from livia.core.report import Heartbeat, HostFacts, ListenerCounters


class Counters(Struct, kw_only=True):
    """What a listener of one amphora counted since the last flush."""

    bytes_in: int = 0
    bytes_out: int = 0
    total_connections: int = 0
    request_errors: int = 0
    active_connections: int = 0

    def add(self, stats: ListenerCounters) -> None:
        self.bytes_in += stats.rx
        self.bytes_out += stats.tx
        self.total_connections += stats.totconns
        self.request_errors += stats.ereq
        self.active_connections = stats.conns


class Totals(Struct, frozen=True, kw_only=True):
    """What a listener counted on one amphora since the amphora was made, and its connections now."""

    bytes_in: int
    bytes_out: int
    total_connections: int
    request_errors: int
    active_connections: int


class Changes(Struct, frozen=True, kw_only=True):
    """What the writer has to look at: amphorae whose statuses changed, counters that grew, hosts that spoke.

    Counters are by (listener id, amphora id): `totals` of agents that tell them, `counters` of those that only tell
    what was added.
    """

    amphorae: frozenset[str]
    counters: dict[tuple[str, str], Counters]
    totals: dict[tuple[str, str], Totals]
    hosts: dict[str, HostFacts]
    heard: frozenset[str]


class _Seen(Struct):
    at: float
    heartbeat: Heartbeat


class Fleet:
    """Written by the receiver, read by the writer and the watch. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._seen: dict[str, _Seen] = {}
        self._dirty: set[str] = set()
        self._unsettled: set[str] = set()
        self._heard: set[str] = set()
        self._counters: dict[tuple[str, str], Counters] = defaultdict(Counters)
        self._active: dict[tuple[str, str], int] = {}
        self._totals: dict[tuple[str, str], Totals] = {}
        self._last_totals: dict[tuple[str, str], Totals] = {}
        self._hosts: dict[str, HostFacts] = {}
        self._known_hosts: set[str] = set()
        self._hurry = False

    def hear(self, heartbeat: Heartbeat, at: float) -> None:
        """Take in one authentic heartbeat."""
        with self._changed:
            if heartbeat.host is not None:
                self._hosts[heartbeat.id] = heartbeat.host
                if heartbeat.id not in self._known_hosts:
                    self._known_hosts.add(heartbeat.id)
                    self._hasten()
                return
            before = self._seen.get(heartbeat.id)
            self._seen[heartbeat.id] = _Seen(at, heartbeat)
            self._heard.add(heartbeat.id)
            self._count(heartbeat)
            if before is None or _differs(before.heartbeat, heartbeat):
                self._dirty.add(heartbeat.id)
                self._hasten()

    def take(self, timeout: float) -> Changes:
        """What changed since the last call; waits at most `timeout` seconds for a changed status or a new host."""
        with self._changed:
            if not self._hurry:
                self._changed.wait(timeout)
            self._hurry = False
            self._dirty |= self._unsettled
            self._unsettled.clear()
            changes = Changes(
                amphorae=frozenset(self._dirty),
                counters=dict(self._counters),
                totals=dict(self._totals),
                hosts=dict(self._hosts),
                heard=frozenset(self._heard),
            )
            self._dirty.clear()
            self._counters.clear()
            self._totals.clear()
            self._hosts.clear()
            self._heard.clear()
            return changes

    def put_back(self, changes: Changes) -> None:
        """The changes could not be written: they count as not taken."""
        with self._lock:
            self._dirty |= changes.amphorae
            self._heard |= changes.heard
            self._hosts = {**changes.hosts, **self._hosts}
            self._totals = {**changes.totals, **self._totals}
            for key, counters in changes.counters.items():
                later = self._counters[key]
                later.bytes_in += counters.bytes_in
                later.bytes_out += counters.bytes_out
                later.total_connections += counters.total_connections
                later.request_errors += counters.request_errors
                later.active_connections = self._active.get(key, counters.active_connections)

    def look_again(self, amphora_id: str) -> None:
        """The amphora's statuses could not be settled yet: the next `take` has it, and does not hurry for it."""
        with self._lock:
            self._unsettled.add(amphora_id)

    def reports(self, amphora_ids: frozenset[str]) -> list[Heartbeat]:
        """The last heartbeats of these amphorae."""
        with self._lock:
            return [self._seen[each].heartbeat for each in sorted(amphora_ids) if each in self._seen]

    def last_heard(self, amphora_id: str) -> float | None:
        """When the amphora last spoke."""
        with self._lock:
            seen = self._seen.get(amphora_id)
            return None if seen is None else seen.at

    def keep_only(self, amphora_ids: frozenset[str]) -> frozenset[str]:
        """Forget all others; returns them."""
        with self._lock:
            gone = frozenset(self._seen) - amphora_ids
            for each in gone:
                del self._seen[each]
            self._dirty -= gone
            self._active = {key: count for key, count in self._active.items() if key[1] not in gone}
            self._last_totals = {key: each for key, each in self._last_totals.items() if key[1] not in gone}
            return gone

    def _hasten(self) -> None:
        self._hurry = True
        self._changed.notify()

    def _count(self, heartbeat: Heartbeat) -> None:
        for listener_id, total in heartbeat.totals.items():
            report = heartbeat.listeners.get(listener_id)
            told = Totals(
                bytes_in=total.rx,
                bytes_out=total.tx,
                total_connections=total.totconns,
                request_errors=total.ereq,
                active_connections=report.stats.conns if report is not None else 0,
            )
            key = (listener_id, heartbeat.id)
            if self._last_totals.get(key) != told:
                self._last_totals[key] = self._totals[key] = told
        for listener_id, report in heartbeat.listeners.items():
            if listener_id in heartbeat.totals:
                continue
            stats = report.stats
            key = (listener_id, heartbeat.id)
            # A listener's first report counts even if it has nothing to count: statistics exist from then on.
            if stats.totconns or stats.rx or stats.tx or stats.ereq or stats.conns != self._active.get(key):
                self._counters[key].add(stats)
                self._active[key] = stats.conns


def _differs(before: Heartbeat, now: Heartbeat) -> bool:
    """Whether anything but counters changed."""
    return (
        before.generation != now.generation
        or before.holds_vip != now.holds_vip
        or before.pools != now.pools
        or {key: each.status for key, each in before.listeners.items()}
        != {key: each.status for key, each in now.listeners.items()}
    )
