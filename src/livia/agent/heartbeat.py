"""Heartbeats: one datagram per amphora and interval, and one of the host itself (contract 95, section 2)."""

import hmac
import secrets
import socket
import time
import zlib
from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread

import msgspec
import structlog
from msgspec import Struct

from livia.agent.amphora import Amphora
from livia.agent.host import Host
from livia.agent.observation import Observation, Observer
from livia.agent.registry import Registry
from livia.core.report import Heartbeat, HostFacts, PoolReport

log = structlog.get_logger()

#: seconds between two looks at all amphorae, at least: how late a changed status is told
_LEAST_PAUSE = 0.25
#: looking may use this share of one core; with many amphorae looks become rarer instead
_SHARE = 0.05
#: seconds of CPU that a look may take to be had at once after each change: that of some two hundred members
_AT_ONCE = 0.002
#: bytes that a datagram has room for, beside the signature (udp(7): 65,507 over IPv4)
_LARGEST = 65_507 - 64


class Sender:
    """Signs and sends beats to the controllers in turn. Safe in several threads."""

    def __init__(self, key: str, controllers: tuple[tuple[str, int], ...], now: Callable[[], float]) -> None:
        self._mac = hmac.new(key.encode(), digestmod="sha256")
        self._controllers = controllers
        self._now = now
        self._boot = secrets.token_hex(8)
        self._sequence = 0
        self._turn = 0
        self._sent = [0] * len(controllers)
        self._sockets: dict[int, socket.socket] = {}
        self._lock = Lock()

    def send(self, beat: Heartbeat) -> None:
        """Send one beat, numbered and dated. Raises OSError."""
        if not self._controllers:
            return
        # Numbers must leave in order: what comes late is taken for a replay.
        with self._lock:
            self._send(beat)

    def _send(self, beat: Heartbeat) -> None:
        self._sequence += 1
        turn = self._turn % len(self._controllers)
        self._sent[turn] += 1
        numbered = msgspec.structs.replace(
            beat, seq=self._sequence, boot=self._boot, sent=self._now(), nth=self._sent[turn]
        )
        payload = _compressed(msgspec.json.encode(numbered))
        if len(payload) > _LARGEST:
            numbered = msgspec.structs.replace(numbered, pools=_each_once(numbered.pools))
            payload = _compressed(msgspec.json.encode(numbered))
        mac = self._mac.copy()
        mac.update(payload)
        controller = self._controllers[turn]
        self._socket(controller[0]).sendto(payload + mac.hexdigest().encode(), controller)

    def turn(self) -> None:
        """From here on the next controller is told."""
        self._turn += 1

    def close(self) -> None:
        """Send no more."""
        for each in self._sockets.values():
            each.close()

    def _socket(self, address: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if family not in self._sockets:
            self._sockets[family] = socket.socket(family, socket.SOCK_DGRAM)
        return self._sockets[family]


def _compressed(text: bytes) -> bytes:
    """As one datagram can hold it. The ids of members hardly get smaller, however long one tries: at zlib's highest
    level (contract 95) a thousand of them take five times as long for a twentieth less."""
    quickly = zlib.compress(text, 1)
    return quickly if len(quickly) <= _LARGEST else zlib.compress(text, 9)


def _each_once(pools: dict[str, PoolReport]) -> dict[str, PoolReport]:
    """Each pool for one of the listeners that use it. What is told of it for the others is the same."""
    first: dict[str, str] = {}
    for name in pools:
        first.setdefault(name.partition(":")[0], name)
    return {name: pools[name] for name in first.values()}


class _Told(Struct):
    """What was last told of an amphora, and when. `cost`: seconds of CPU that the last look at it took; `owed`: it was
    changed since, and the next round tells."""

    observer: Observer
    statuses: tuple[object, ...] | None = None
    when: float = float("-inf")
    cost: float = 0.0
    owed: bool = False


class Pulse(Thread):
    """Looks at every amphora, several times an interval, and tells when it is time or when something changed."""

    def __init__(self, host: Host, registry: Registry, sender: Sender) -> None:
        super().__init__(name="pulse", daemon=True)
        self._host = host
        self._registry = registry
        self._sender = sender
        self._told: dict[str, _Told] = {}
        self._urgent: deque[str] = deque()
        self._wake = Event()
        self._stopped = False
        self._host_told = float("-inf")

    def urge(self, amphora_id: str) -> None:
        """This amphora was just changed: tell now, or in the next round where looking at all its members would cost
        more than the change."""
        self._urgent.append(amphora_id)
        self._wake.set()

    def farewell(self, amphora: Amphora) -> None:
        """This amphora is about to be removed: tell what it counted since the last beat. The caller has its lock."""
        told = _Told(Observer(amphora))
        self._look(told, urgent=True)

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()
        self.join()
        self._sender.close()

    def run(self) -> None:
        due = time.monotonic()
        while not self._stopped:
            self._wake.clear()
            try:
                self._serve_urgent()
                if time.monotonic() >= due:
                    due = time.monotonic() + self._round()
            except Exception:
                # The outermost loop of the thread: an amphora nobody hears of would be replaced.
                self._host.metrics.faults.inc()
                log.exception("heartbeat failed")
                due = time.monotonic() + _LEAST_PAUSE
            if not self._urgent:
                self._wake.wait(max(0.0, due - time.monotonic()))

    def _serve_urgent(self) -> None:
        while self._urgent:
            told = self._find(self._urgent.popleft())
            if told is not None and told.cost > _AT_ONCE:
                told.owed = True
            elif told is not None:
                self._look(told, urgent=True)

    def _round(self) -> float:
        """Look at all; returns the seconds until the next round."""
        begin = time.thread_time()
        self._tell_host()
        present = {amphora.id for amphora in self._registry.all()}
        for amphora_id in self._told.keys() - present:
            del self._told[amphora_id]
        for amphora_id in sorted(present):
            if self._urgent or self._stopped:
                self._serve_urgent()
            told = self._find(amphora_id)
            if told is not None:
                self._look(told, urgent=told.owed)
                told.observer.tidy()
        self._count_old_workers()
        interval = self._host.config.heartbeat_interval
        return min(interval / 2, max(min(_LEAST_PAUSE, interval / 2), (time.thread_time() - begin) / _SHARE))

    def _count_old_workers(self) -> None:
        numbers = [told.observer.amphora.haproxy.counting.old_workers for told in self._told.values()]
        self._host.metrics.old_workers.set(sum(numbers))
        self._host.metrics.most_old_workers.set(max(numbers, default=0))

    def _find(self, amphora_id: str) -> _Told | None:
        amphora = self._registry.get(amphora_id)
        if amphora is None:
            return None
        told = self._told.get(amphora_id)
        if told is None or told.observer.amphora is not amphora:
            told = self._told[amphora_id] = _Told(Observer(amphora))
        return told

    def _look(self, told: _Told, *, urgent: bool) -> None:
        begin, told.owed = time.thread_time(), False
        try:
            seen = told.observer.look()
            if seen is None:
                told.statuses = None
                return
            now = time.monotonic()
            late = now - told.when >= self._host.config.heartbeat_interval
            if late or urgent or seen.statuses != told.statuses:
                self._tell(told, seen)
                told.statuses, told.when = seen.statuses, now
        except OSError as error:
            self._host.metrics.heartbeats.labels(outcome="failed").inc()
            log.warning("heartbeat not sent", amphora=told.observer.amphora.id, reason=str(error))
        finally:
            told.cost = time.thread_time() - begin

    def _tell(self, told: _Told, seen: Observation) -> None:
        listeners, totals = told.observer.counts(seen)
        self._sender.send(
            Heartbeat(
                id=told.observer.amphora.id,
                seq=0,
                listeners=listeners,
                totals=totals,
                pools=seen.pools,
                generation=seen.record.assignment.generation,
                digest=seen.record.digest,
                holds_vip=seen.holds_vip,
            )
        )
        self._host.metrics.heartbeats.labels(outcome="sent").inc()

    def _tell_host(self) -> None:
        config = self._host.config
        if time.monotonic() - self._host_told < config.heartbeat_interval:
            return
        self._host_told = time.monotonic()
        self._sender.turn()
        facts = HostFacts(
            address=config.address,
            agent_port=config.bind_port,
            capacity=config.capacity,
            amphorae=len(self._registry.all()),
            availability_zone=config.availability_zone,
        )
        try:
            self._sender.send(Heartbeat(id=config.name, seq=0, host=facts))
        except OSError as error:
            self._host.metrics.heartbeats.labels(outcome="failed").inc()
            log.warning("heartbeat of the host not sent", reason=str(error))
        else:
            self._host.metrics.heartbeats.labels(outcome="sent").inc()
