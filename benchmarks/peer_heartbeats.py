"""CPU of a heartbeat in our health manager and in the incumbent's, side by side.

Both are their own programs with the same octavia.conf, on databases of one MariaDB that hold the same. Each gets what
its agents send (contract 95, section 2), at one rate, every amphora in turn, all members UP. Whoever gets nothing for
the moment shows what it uses at rest.
"""

import hmac
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Struct
from rich.console import Console
from sqlalchemy import URL, Engine, create_engine, text

from benchmarks import mariadb
from benchmarks.api import Start, directory
from benchmarks.figures import Figure, median
from benchmarks.operations import creation, listener
from benchmarks.processes import cpu_seconds
from benchmarks.seed import Copies
from benchmarks.services import PEER, install, ours, peer, without_ours

_AMPHORAE, _MEMBERS = 200, 10
#: heartbeats a second: the incumbent keeps up with them on a part of a core
_RATE = 50
#: a window of measuring: each amphora beats five times, and everything is written at its end; seconds
_SENDING, _WRITING = 20.0, 6.0
#: until every amphora is heard, seconds from the start
_PATIENCE = 90.0
_CONNECTIONS = 3
_KEY = "a key for benchmarks"
#: nobody is suspected while the other one gets its heartbeats
_CONFIG = f"""
[health_manager]
bind_ip = 127.0.0.1
bind_port = {{port}}
heartbeat_key = {_KEY}
heartbeat_timeout = 3600
"""
_FLEET = text(
    "SELECT amphora.id, listener.id, pool.id, member.id FROM amphora"
    " JOIN listener ON listener.load_balancer_id = amphora.load_balancer_id"
    " JOIN pool ON pool.load_balancer_id = amphora.load_balancer_id JOIN member ON member.pool_id = pool.id"
)
_AMPHORA = text(
    "INSERT INTO amphora (id, load_balancer_id, compute_id, status, role, cert_busy, created_at)"
    " VALUES (:id, :owner, :id, 'ALLOCATED', 'STANDALONE', false, UTC_TIMESTAMP())"
)
_HEALTH = text("INSERT INTO amphora_health (amphora_id, last_update, busy) VALUES (:id, UTC_TIMESTAMP(), false)")
#: only of ours: the agents have what was asked for, so that nobody has to do anything
_APPLIED = text(
    "UPDATE amphora JOIN load_balancer ON load_balancer.id = load_balancer_id"
    " SET applied_generation = generation, holds_vip = true"
)
_GENERATION = text("SELECT MAX(applied_generation) FROM amphora")
_COUNTED = text("SELECT SUM(total_connections) FROM listener_statistics")
_HEARD = text("SELECT amphora_id, last_update FROM amphora_health")


class Side(Struct, frozen=True):
    """Whose; its database; how its API starts, which makes the schema; its programs; its octavia.conf; if ours."""

    name: str
    database: str
    api: Start
    programs: Path
    config: str
    ours: bool


_SIDES = (
    Side("Livia", "livia_heartbeats", ours, Path(sys.executable).parent, "octavia.conf", True),
    Side("the incumbent", "peer_heartbeats", peer, PEER / "bin", ".octavia/octavia.conf", False),
)


class Window(Struct, frozen=True):
    """CPU of each manager, the one that got heartbeats too, and of the database; seconds."""

    managers: Sequence[float]
    database: float


class Manager:
    """A health manager that runs, and the fleet in its database."""

    def __init__(self, side: Side, pid: int, port: int, database: URL, log: Path) -> None:
        self.name = side.name
        self.pid = pid
        self._port = port
        self._log = log
        self.engine: Engine = create_engine(database)
        with self.engine.connect() as connection:
            self._fleet = _ids(connection.execute(_FLEET).all())
            self._generation = connection.execute(_GENERATION).scalar_one() if side.ours else None
        self._seq = 0
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def beat(self, seconds: float) -> int:
        """Send heartbeats for so long. How many."""
        count, began = round(seconds * _RATE), time.monotonic()
        for number in range(count):
            turn, at = divmod(self._seq, _AMPHORAE)
            said = _said(turn + 1, *self._fleet[at])
            if self._generation is not None:
                said |= _said_by_ours(turn + 1, *self._fleet[at][:2], self._generation)
            self._seq += 1
            datagram = _signed(said)
            time.sleep(max(0.0, began + number / _RATE - time.monotonic()))
            self._out.sendto(datagram, ("127.0.0.1", self._port))
        return count

    def counted(self) -> int:
        """Heartbeats that its database has counted in."""
        with self.engine.connect() as connection:
            return int(connection.execute(_COUNTED).scalar_one() or 0) // _CONNECTIONS

    def heard(self) -> dict[str, object]:
        """`last_update` of each amphora."""
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(_HEARD)}

    def wait_heard(self) -> None:
        """Until it heard of each amphora, so that statuses are what is reported. Raises when it does not."""
        before, deadline = self.heard(), time.monotonic() + _PATIENCE
        while not self.moved(before):
            if time.monotonic() > deadline:
                raise self.failure("does not take in heartbeats")
            self.beat(_AMPHORAE / _RATE)
            time.sleep(_WRITING)

    def moved(self, before: dict[str, object]) -> bool:
        """Whether each `last_update` is another one now."""
        return all(before[amphora] != now for amphora, now in self.heard().items())

    def failure(self, what: str) -> RuntimeError:
        """An error with the end of its log."""
        return RuntimeError(f"{self.name} {what}:\n{self._log.read_text()[-2000:]}")

    def close(self) -> None:
        """Close what is open."""
        self._out.close()
        self.engine.dispose()


def beside_peer(console: Console, *, rounds: int = 3) -> Iterator[Figure]:
    """CPU of a heartbeat in both, less what they use at rest, and how many times less ours is."""
    version = install(console)
    with ExitStack() as stack:
        server = stack.enter_context(mariadb.server())
        managers = [stack.enter_context(_managed(each, server)) for each in _SIDES]
        for manager in managers:
            console.print(f"Heartbeats to {manager.name} ...", highlight=False)
            manager.wait_heard()
        found = [[_window(managers, each) for each in managers] for _ in range(rounds)]
    sent = _SENDING * _RATE
    we, they = ([(turns[k].managers[k] - turns[1 - k].managers[k]) / sent * 1000 for turns in found] for k in (0, 1))
    rest = [statistics.median(turns[1 - k].managers[k] for turns in found) / (_SENDING + _WRITING) for k in (0, 1)]
    database = [statistics.median(turns[k].database for turns in found) / sent * 1000 for k in (0, 1)]
    common: dict[str, Any] = {
        "amphorae": _AMPHORAE,
        "members each": _MEMBERS,
        "heartbeats a second": _RATE,
        "heartbeats": round(sent),
        "load average": round(os.getloadavg()[0], 1),
        "peer": version,
    }
    for name, spent, k in (("heartbeat_cpu", we, 0), ("heartbeat_cpu_incumbent", they, 1)):
        beside: dict[str, Any] = {
            "at rest ms CPU/s": round(rest[k] * 1000, 2),
            "database ms CPU": round(database[k], 2),
        }
        yield median(name, spent, "ms CPU", **common, **beside)
    ratios = [theirs / mine for mine, theirs in zip(we, they, strict=True)]
    yield median("heartbeat_cpu_ratio", ratios, "times less CPU", **common)


def _window(managers: Sequence[Manager], chosen: Manager) -> Window:
    """Heartbeats to one of them; raises when not all of them counted."""
    database = mariadb.process_id(chosen.engine)
    before, counted, heard = [cpu_seconds(each.pid) for each in managers], chosen.counted(), chosen.heard()
    served = cpu_seconds(database)
    sent = chosen.beat(_SENDING)
    time.sleep(_WRITING)
    spent = [cpu_seconds(each.pid) - used for each, used in zip(managers, before, strict=True)]
    served = cpu_seconds(database) - served
    taken = chosen.counted() - counted
    if taken != sent or not chosen.moved(heard):
        raise chosen.failure(f"took in {taken} of {sent} heartbeats")
    return Window(spent, served)


@contextmanager
def _managed(side: Side, server: URL) -> Iterator[Manager]:
    """A health manager with a fleet in its database."""
    port = mariadb.free_port(socket.SOCK_DGRAM)
    with directory() as place, mariadb.database(server, side.database) as url:
        _fill(side, url, place)
        (place / "health.conf").write_text(_CONFIG.format(port=port))
        files = [f"--config-file={place / name}" for name in (side.config, "health.conf")]
        environment = None if side.ours else without_ours(place)
        log = place / "health.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [side.programs / "octavia-health-manager", *files],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        manager = Manager(side, process.pid, port, url, log)
        try:
            yield manager
        finally:
            manager.close()
            process.terminate()
            process.wait()


def _fill(side: Side, url: URL, place: Path) -> None:
    """A load balancer made through the API, with an amphora, and copies of it."""
    with side.api(url, place) as subject:
        copies = Copies(subject)
        owner = subject.ask(creation(listeners=[listener(80, members=_MEMBERS)]))["loadbalancer"]["id"]
        copies.settle(owner)
        with subject.engine.begin() as connection:
            amphora = {"id": str(uuid4()), "owner": owner}
            connection.execute(_AMPHORA, amphora)
            connection.execute(_HEALTH, {"id": amphora["id"]})
            if side.ours:
                connection.execute(_APPLIED)
        copies.make(owner, _AMPHORAE - 1)


def _ids(rows: Sequence[Sequence[str]]) -> list[tuple[str, str, str, list[str]]]:
    """Of each amphora: its own id, its listener's, its pool's, its members'."""
    members: dict[tuple[str, str, str], list[str]] = {}
    for amphora, of_listener, pool, member in rows:
        members.setdefault((amphora, of_listener, pool), []).append(member)
    return [(*ids, each) for ids, each in members.items()]


def _said(turn: int, amphora: str, of_listener: str, pool: str, members: list[str]) -> dict[str, Any]:
    """What an agent of the incumbent says: counters are what came since the last time."""
    stats = {"tx": 1500, "rx": 300, "conns": turn % 7, "totconns": _CONNECTIONS, "ereq": 0}
    return {
        "id": amphora,
        "seq": turn,
        "ver": 3,
        "listeners": {of_listener: {"status": "OPEN", "stats": stats}},
        "pools": {f"{pool}:{of_listener}": {"status": "UP", "members": dict.fromkeys(members, "UP")}},
    }


def _said_by_ours(turn: int, amphora: str, of_listener: str, generation: int) -> dict[str, Any]:
    """What an agent of ours says besides."""
    return {
        "boot": amphora[:8] * 2,
        "nth": turn,
        "sent": time.time(),
        "generation": generation,
        "holds_vip": True,
        "totals": {of_listener: {"tx": 1500 * turn, "rx": 300 * turn, "totconns": _CONNECTIONS * turn, "ereq": 0}},
    }


def _signed(said: dict[str, Any]) -> bytes:
    payload = zlib.compress(json.dumps(said).encode(), 9)
    return payload + hmac.new(_KEY.encode(), payload, "sha256").hexdigest().encode()
