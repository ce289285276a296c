"""What heartbeats cost a health manager that also writes: a fleet of 20,000 amphorae beats once a second for a minute.

One process manages, as `livia up` runs it, on a database of its own; one sends real datagrams (`benchmarks/beats.py`);
one reads, several times a second, how old the oldest `last_update` is.
"""

import multiprocessing
import os
import resource
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event, Thread

from msgspec import Struct
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, func, make_url, select

from benchmarks import mariadb
from benchmarks.beats import KEY, MEMBERS, datagrams, differing, fill, signed
from benchmarks.figures import Figure
from benchmarks.processes import cpu_seconds
from livia.core.clock import SystemClock
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.noop import NoopCompute
from livia.health.receiver import Listen
from livia.health.service import FarSides, HealthManager, Options
from livia.health.watch import Limits
from livia.store import tables as t
from livia.store.engine import Database

_AMPHORAE = 20_000
_ROUNDS = 60
#: datagrams that are sent together
_VOLLEY = 100
#: seconds of silence after which the manager suspects an amphora
_TIMEOUT = 10.0
#: a heartbeat that waits longer than this from its arrival until it counts is late, seconds
_LATE = 1.0
#: `last_update` of who is heard every second is never older, seconds
_OLDEST = 4.0
#: seconds between two looks at `last_update`
_LOOKS = 0.2
#: from the last datagram until the manager is told to end, seconds: before it would suspect anybody
_PAUSE = 2.0


class Outcome(Struct):
    """What the manager tells at the end. CPU in seconds, of all its threads."""

    cpu: float
    accepted: float
    refused: float
    dropped: float
    wait: float
    flush: float
    errors: float
    guard_ok: float


class Run(Struct):
    """What sending and looking found. `delay`: how far the sender was behind at most, `age`: of the oldest
    `last_update`, `first`: from the first datagram until all were written; seconds."""

    outcome: Outcome
    seconds: float
    delay: float
    age: float
    first: float
    database_cpu: float = 0.0
    differing: int = 0


def sustained(*, rounds: int = _ROUNDS, amphorae: int = _AMPHORAE) -> Iterator[Figure]:
    """CPU per heartbeat, and what waited, on SQLite and on MariaDB."""
    with _directory() as directory:
        url = make_url(f"sqlite:///{directory / 'livia.db'}")
        yield from _figures("SQLite", _on(url, directory, amphorae, rounds), amphorae, rounds)
    with _directory() as directory, mariadb.server() as server, mariadb.database(server, "livia_heartbeats") as url:
        yield from _figures("MariaDB", _on(url, directory, amphorae, rounds), amphorae, rounds)


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="livia-heartbeats-") as name:
        yield Path(name)


def _on(url: URL, directory: Path, amphorae: int, rounds: int) -> Run:
    fill(url, amphorae)
    files = signed(directory, amphorae, rounds)
    database = Database(url)
    server = mariadb.process_id(database.engine) if url.get_backend_name() == "mysql" else None
    before = cpu_seconds(server) if server else 0.0
    run = _measure(url, files, amphorae, rounds)
    run.database_cpu = cpu_seconds(server) - before if server else 0.0
    run.differing = differing(database, amphorae, rounds)
    database.close()
    return run


def _figures(kind: str, run: Run, amphorae: int, rounds: int) -> Iterator[Figure]:
    outcome, sent = run.outcome, rounds * amphorae
    each = outcome.cpu / outcome.accepted * 1000
    detail = {
        "amphorae": amphorae,
        "members each": MEMBERS,
        "seconds": round(run.seconds, 1),
        "sent a second": round(sent / run.seconds),
        "longest delay of the sender s": round(run.delay, 2),
        "lost": round(sent - outcome.accepted),
        "slowest flush s": round(outcome.flush, 2),
        "first written s": round(run.first, 1),
        "database ms CPU each": round(run.database_cpu / sent * 1000, 4),
        "load average": round(os.getloadavg()[0], 1),
    }

    def figure(name: str, value: float, unit: str, **target: float) -> Figure:
        return Figure(name=f"{name} ({kind})", value=value, unit=unit, n=sent, detail=detail, **target)

    yield figure("CPU of a heartbeat, writing included", round(each, 4), "ms CPU", most=0.05)
    yield figure("heartbeats a second and core", round(1000 / each), "/s", least=20_000)
    yield figure("longest wait of a heartbeat, at most", outcome.wait, "s", most=_LATE)
    yield figure("oldest last_update in the database", round(run.age, 2), "s", most=_OLDEST)
    bad = sent - outcome.accepted + outcome.refused + outcome.dropped + outcome.errors + (1 - outcome.guard_ok)
    yield figure("heartbeats lost or refused, failed writes", bad, "", most=0)
    yield figure("rows that say something else than the last heartbeat", run.differing, "", most=0)


def _measure(url: URL, files: list[Path], amphorae: int, rounds: int) -> Run:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    manager = context.Process(target=_manage, args=(url, theirs))
    manager.start()
    port: int = ours.recv()
    looks, eyes = context.Pipe()
    observer = context.Process(target=_observe, args=(url, eyes))
    observer.start()
    looks.recv()
    began = time.monotonic()
    delay = _send(files, port, amphorae)
    seconds = max(time.monotonic() - began, float(rounds))
    looks.send("stop")
    age, first = looks.recv()
    observer.join()
    time.sleep(_PAUSE)
    ours.send("stop")
    outcome = ours.recv()
    manager.join()
    return Run(outcome=outcome, seconds=seconds, delay=delay, age=age, first=first)


def _send(files: list[Path], port: int, amphorae: int) -> float:
    """Each round takes a second. By how many seconds a datagram was late at most."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(("127.0.0.1", port))
    began, delay = time.monotonic(), 0.0
    for count, datagram in enumerate(each for path in files for each in datagrams(path)):
        if count % _VOLLEY == 0:
            early = began + count / amphorae - time.monotonic()
            delay = max(delay, -early)
            time.sleep(max(0.0, early))
        out.send(datagram)
    out.close()
    return delay


def _observe(url: URL, pipe: Connection) -> None:
    """The process that looks how old `last_update` gets, from when all are written for the first time."""
    database, clock = Database(url), SystemClock()
    oldest = select(func.min(t.amphora_health.c.last_update))
    began, first, age = clock.now(), float("inf"), 0.0
    pipe.send("looking")
    while not pipe.poll(_LOOKS):
        with database.read() as connection:
            written = connection.execute(oldest).scalar_one()
        now = clock.now()
        if written > began:
            first = min(first, (now - began).total_seconds())
            age = max(age, (now - written).total_seconds())
    pipe.send((age if first < float("inf") else first, first))
    database.close()


def _manage(url: URL, pipe: Connection) -> None:
    """The manager's process."""
    registry, stop = CollectorRegistry(), Event()
    far = FarSides(compute=NoopCompute(), agents=NoopAmphorae(), wake=NoWake())
    options = Options(
        listen=Listen(address="127.0.0.1", port=0), key=KEY, limits=Limits(timeout=_TIMEOUT, interval=3.0)
    )
    database = Database(url, durable=False)
    manager = HealthManager(database, far, SystemClock(), options, registry)
    life = Thread(target=manager.run, args=(stop,))
    life.start()
    pipe.send(manager.port)
    began = _cpu()
    pipe.recv()
    cpu = _cpu() - began
    outcome = Outcome(
        cpu=cpu,
        accepted=_sample(registry, "livia_heartbeats_total", verdict="accepted"),
        refused=_sum(registry, "livia_heartbeats_total")
        - _sample(registry, "livia_heartbeats_total", verdict="accepted"),
        dropped=_sample(registry, "livia_heartbeats_dropped_total"),
        wait=_longest(registry, "livia_heartbeats_wait_seconds"),
        flush=_longest(registry, "livia_health_flush_seconds"),
        errors=_sample(registry, "livia_health_database_errors_total"),
        guard_ok=_sample(registry, "livia_health_guard", state="ok"),
    )
    stop.set()
    life.join()
    pipe.send(outcome)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _sample(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def _sum(registry: CollectorRegistry, name: str) -> float:
    return sum(each.value for family in registry.collect() for each in family.samples if each.name == name)


def _longest(registry: CollectorRegistry, histogram: str) -> float:
    """The upper end of the last bucket that has anything, seconds."""
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for family in registry.collect()
        for sample in family.samples
        if sample.name == f"{histogram}_bucket"
    ]
    most = max(count for _end, count in buckets)
    return min(end for end, count in buckets if count >= most)
