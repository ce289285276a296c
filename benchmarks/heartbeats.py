"""What heartbeats cost a health manager that also writes: a fleet of 20,000 amphorae beats once a second for a minute.

One process manages, as `livia up` runs it, on a SQLite database of its own; one sends real datagrams, signed before
the clock starts, of a load balancer with ten members each. In every round counters of all grow, and a member of one in
a hundred changes its status.
"""

import hmac
import mmap
import multiprocessing
import resource
import socket
import struct
import tempfile
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry
from sqlalchemy import Table, insert

from benchmarks.figures import Figure
from livia.core.clock import SystemClock
from livia.core.report import Heartbeat, ListenerCounters, ListenerReport, ListenerTotals, PoolReport
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.noop import NoopCompute
from livia.health.receiver import Listen
from livia.health.service import FarSides, HealthManager, Options
from livia.health.watch import Limits
from livia.store import tables as t
from livia.store.engine import Database

_KEY = "a key for benchmarks"
_AMPHORAE = 20_000
_MEMBERS = 10
_ROUNDS = 60
#: one in so many amphorae tells another status than in the round before
_CHANGING = 100
#: datagrams that are sent together
_VOLLEY = 100
#: what the incumbent needs for one, ms of CPU: measured with ten members on a quiet machine like ours
_PEER = 7.0
#: a heartbeat that waits longer than this in the queue is late, seconds
_LATE = 1.0


class Outcome(Struct):
    """What the manager tells at the end. CPU in seconds, of all its threads."""

    cpu: float
    accepted: float
    refused: float
    dropped: float
    behind: float
    flush: float
    errors: float
    guard_ok: float
    counted: int


def sustained(*, rounds: int = _ROUNDS, amphorae: int = _AMPHORAE) -> Iterator[Figure]:
    """CPU per heartbeat, and how far the receiver fell behind."""
    with tempfile.TemporaryDirectory(prefix="livia-heartbeats-") as name:
        directory = Path(name)
        url = f"sqlite:///{directory / 'livia.db'}"
        _fill(url, amphorae)
        halves = _signed(directory, amphorae, rounds)
        outcome, seconds = _measure(url, halves, amphorae, rounds)
    sent = rounds * amphorae
    each = outcome.cpu / outcome.accepted * 1000
    detail = {
        "amphorae": amphorae,
        "members each": _MEMBERS,
        "seconds": round(seconds, 1),
        "sent a second": round(sent / seconds),
        "lost": round(sent - outcome.accepted),
        "slowest flush s": round(outcome.flush, 2),
        "counters written": outcome.counted,
    }
    yield Figure(name="CPU of a heartbeat, writing included", value=round(each, 4), unit="ms CPU", n=sent, most=0.05)
    yield Figure(
        name="heartbeats a second and core", value=round(1000 / each), unit="/s", n=sent, least=20_000, detail=detail
    )
    yield Figure(name="longest wait of a heartbeat", value=round(outcome.behind, 3), unit="s", n=sent, most=_LATE)
    bad = sent - outcome.accepted + outcome.refused + outcome.dropped + outcome.errors + (1 - outcome.guard_ok)
    yield Figure(name="heartbeats lost or refused, failed writes", value=bad, unit="", n=sent, most=0)
    yield Figure(
        name="CPU of a heartbeat, against the incumbent's 7 ms",
        value=round(_PEER / each),
        unit="times less",
        n=sent,
        detail={"incumbent": "7 to 9 ms, measured elsewhere"},
    )


def _id(kind: int, number: int) -> str:
    """Ids without a pattern that a compressor would find."""
    return str(UUID(int=(number * 16 + kind) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def _fill(url: str, amphorae: int) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    common = {"enabled": True, "provisioning_status": "ACTIVE", "generation": 1, "project_id": "p", "created_at": now}
    rows: dict[Table, list[dict[str, object]]] = {
        table: [] for table in (t.load_balancer, t.pool, t.listener, t.member, t.amphora, t.amphora_health)
    }
    for number in range(amphorae):
        owner, pool = _id(0, number), _id(2, number)
        mine = {**common, "load_balancer_id": owner, "operating_status": "ONLINE"}
        rows[t.load_balancer].append(
            {**common, "id": owner, "operating_status": "ONLINE", "topology": "SINGLE", "provider": "amphora"}
        )
        rows[t.pool].append({**mine, "id": pool, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"})
        rows[t.listener].append({**mine, "id": _id(1, number), "protocol": "HTTP", "protocol_port": 80})
        rows[t.member] += [
            {
                **mine,
                "id": _id(6 + k, number),
                "pool_id": pool,
                "ip_address": f"10.0.0.{k}",
                "protocol_port": 80,
                "backup": False,
            }
            for k in range(_MEMBERS)
        ]
        rows[t.amphora].append(
            {
                "id": _id(3, number),
                "status": "ALLOCATED",
                "load_balancer_id": owner,
                "compute_id": "h",
                "role": "STANDALONE",
                "applied_generation": 1,
                "holds_vip": True,
                "created_at": now,
            }
        )
        rows[t.amphora_health].append({"amphora_id": _id(3, number), "last_update": now, "busy": False})
    database = Database(url)
    t.metadata.create_all(database.engine)
    with database.write() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
    database.close()


def _signed(directory: Path, amphorae: int, rounds: int) -> list[Path]:
    """Files with all datagrams in order of sending, each after its length; one half of the rounds each."""
    context = multiprocessing.get_context("spawn")
    middle = rounds // 2
    parts = [(directory / "first", 1, middle + 1), (directory / "second", middle + 1, rounds + 1)]
    makers = [context.Process(target=_sign, args=(path, amphorae, begin, end)) for path, begin, end in parts]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    return [path for path, _begin, _end in parts]


def _sign(path: Path, amphorae: int, begin: int, end: int) -> None:
    mac = hmac.new(_KEY.encode(), digestmod="sha256")
    now = time.time()
    with path.open("wb") as file:
        for turn in range(begin, end):
            for number in range(amphorae):
                payload = zlib.compress(msgspec.json.encode(_beat(number, turn, now)), 9)
                signed = mac.copy()
                signed.update(payload)
                datagram = payload + signed.hexdigest().encode()
                file.write(struct.pack("<H", len(datagram)) + datagram)


def _beat(number: int, turn: int, now: float) -> Heartbeat:
    listener, pool = _id(1, number), _id(2, number)
    members = {_id(6 + k, number): "UP" for k in range(_MEMBERS)}
    if number % _CHANGING == 0 and turn % 2:
        members[_id(6, number)] = "DOWN"
    stats = ListenerCounters(tx=1500, rx=300, conns=turn % 7, totconns=3)
    return Heartbeat(
        id=_id(3, number),
        seq=turn,
        boot=f"{number:016x}",
        nth=turn,
        sent=now,
        generation=1,
        holds_vip=True,
        listeners={listener: ListenerReport(status="OPEN", stats=stats)},
        totals={listener: ListenerTotals(tx=1500 * turn, rx=300 * turn, totconns=3 * turn)},
        pools={f"{pool}:{listener}": PoolReport(status="UP", members=members)},
    )


def _measure(url: str, files: list[Path], amphorae: int, rounds: int) -> tuple[Outcome, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    manager = context.Process(target=_manage, args=(url, theirs))
    manager.start()
    port: int = ours.recv()
    began = time.monotonic()
    _send(files, port, amphorae)
    seconds = max(time.monotonic() - began, float(rounds))
    # What was heard last is written within a flush or two.
    time.sleep(5)
    ours.send("stop")
    outcome = ours.recv()
    manager.join()
    return outcome, seconds


def _send(files: list[Path], port: int, amphorae: int) -> None:
    """Each round takes a second."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(("127.0.0.1", port))
    began = time.monotonic()
    for count, datagram in enumerate(each for path in files for each in _datagrams(path)):
        if count % _VOLLEY == 0:
            time.sleep(max(0.0, began + count / amphorae - time.monotonic()))
        out.send(datagram)
    out.close()


def _datagrams(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = 0
        while at < len(text):
            (size,) = struct.unpack_from("<H", text, at)
            yield text[at + 2 : at + 2 + size]
            at += 2 + size


def _manage(url: str, pipe: Connection) -> None:
    """The manager's process."""
    registry, stop = CollectorRegistry(), Event()
    far = FarSides(compute=NoopCompute(), agents=NoopAmphorae(), wake=NoWake())
    options = Options(listen=Listen(address="127.0.0.1", port=0), key=_KEY, limits=Limits(timeout=10.0, interval=3.0))
    database = Database(url, durable=False)
    manager = HealthManager(database, far, SystemClock(), options, registry)
    life = Thread(target=manager.run, args=(stop,))
    life.start()
    pipe.send(manager.port)
    behind, began = 0.0, _cpu()
    while not pipe.poll(0.1):
        behind = max(behind, registry.get_sample_value("livia_health_behind_seconds") or 0.0)
    cpu = _cpu() - began
    outcome = Outcome(
        cpu=cpu,
        accepted=_sample(registry, "livia_heartbeats_total", verdict="accepted"),
        refused=_sample(registry, "livia_heartbeats_total", verdict="replayed"),
        dropped=_sample(registry, "livia_heartbeats_dropped_total"),
        behind=behind,
        flush=_slowest(registry),
        errors=_sample(registry, "livia_health_database_errors_total"),
        guard_ok=_sample(registry, "livia_health_guard", state="ok"),
        counted=0,
    )
    stop.set()
    life.join()
    with database.read() as connection:
        written = connection.execute(t.listener_statistics.select()).all()
    outcome.counted = sum(row.total_connections for row in written)
    pipe.send(outcome)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _sample(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def _slowest(registry: CollectorRegistry) -> float:
    """The upper end of the last bucket that has a flush, seconds."""
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "livia_health_flush_seconds_bucket"
    ]
    most = max(count for _end, count in buckets)
    return min(end for end, count in buckets if count >= most)
