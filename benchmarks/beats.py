"""A fleet of amphorae for measuring: its rows, and what it says, signed before any clock starts.

Each has a load balancer with ten members. In every round counters of all grow, and a member of one in a hundred
changes its status.
"""

import hmac
import mmap
import multiprocessing
import struct
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import URL, Table, func, insert, select

from livia.core.report import Heartbeat, ListenerCounters, ListenerReport, ListenerTotals, PoolReport
from livia.store import tables as t
from livia.store.engine import Database

KEY = "a key for benchmarks"
MEMBERS = 10
#: one in so many amphorae tells another status than in the round before
_CHANGING = 100
#: connections in a round
_CONNECTIONS = 3


def _id(kind: int, number: int) -> str:
    """Ids without a pattern that a compressor would find."""
    return str(UUID(int=(number * 16 + kind) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def fill(url: str | URL, amphorae: int) -> None:
    """A database with every table, and a load balancer of its own for each amphora."""
    now = datetime.now(UTC).replace(tzinfo=None)
    # In this order: what others refer to comes first.
    rows: dict[Table, list[dict[str, object]]] = {
        table: [] for table in (t.load_balancer, t.pool, t.listener, t.member, t.amphora, t.amphora_health)
    }
    for number in range(amphorae):
        for table, row in (*_tree(number, now), *_amphora(number, now)):
            rows[table].append(row)
    database = Database(url)
    t.metadata.create_all(database.engine)
    with database.write() as connection:
        for table, values in rows.items():
            connection.execute(insert(table), values)
    database.close()


def _tree(number: int, now: datetime) -> Iterator[tuple[Table, dict[str, object]]]:
    """The rows of the load balancer of an amphora, and what is below it."""
    owner, pool = _id(0, number), _id(2, number)
    common: dict[str, object] = {
        "enabled": True,
        "provisioning_status": "ACTIVE",
        "operating_status": "ONLINE",
        "generation": 1,
        "project_id": "p",
        "created_at": now,
    }
    mine = {**common, "load_balancer_id": owner}
    yield t.load_balancer, {**common, "id": owner, "topology": "SINGLE", "provider": "amphora"}
    yield t.pool, {**mine, "id": pool, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    yield t.listener, {**mine, "id": _id(1, number), "protocol": "HTTP", "protocol_port": 80}
    for k in range(MEMBERS):
        address = {"ip_address": f"10.0.0.{k}", "protocol_port": 80}
        yield t.member, {**mine, **address, "id": _id(6 + k, number), "pool_id": pool, "backup": False}


def _amphora(number: int, now: datetime) -> Iterator[tuple[Table, dict[str, object]]]:
    """The rows of an amphora that was heard of just now."""
    key = _id(3, number)
    allocated = {"status": "ALLOCATED", "load_balancer_id": _id(0, number), "compute_id": "h", "role": "STANDALONE"}
    yield t.amphora, {**allocated, "id": key, "applied_generation": 1, "holds_vip": True, "created_at": now}
    yield t.amphora_health, {"amphora_id": key, "last_update": now, "busy": False}


def signed(directory: Path, amphorae: int, rounds: int) -> list[Path]:
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
    mac = hmac.new(KEY.encode(), digestmod="sha256")
    now = time.time()
    with path.open("wb") as file:
        for turn in range(begin, end):
            for number in range(amphorae):
                payload = zlib.compress(msgspec.json.encode(_beat(number, turn, now)), 1)
                signed = mac.copy()
                signed.update(payload)
                datagram = payload + signed.hexdigest().encode()
                file.write(struct.pack("<H", len(datagram)) + datagram)


def _beat(number: int, turn: int, now: float) -> Heartbeat:
    listener, pool = _id(1, number), _id(2, number)
    members = {_id(6 + k, number): "UP" for k in range(MEMBERS)}
    if number % _CHANGING == 0 and turn % 2:
        members[_id(6, number)] = "DOWN"
    stats = ListenerCounters(tx=1500, rx=300, conns=turn % 7, totconns=_CONNECTIONS)
    return Heartbeat(
        id=_id(3, number),
        seq=turn,
        boot=f"{number:016x}",
        nth=turn,
        sent=now,
        generation=1,
        holds_vip=True,
        listeners={listener: ListenerReport(status="OPEN", stats=stats)},
        totals={listener: ListenerTotals(tx=1500 * turn, rx=300 * turn, totconns=_CONNECTIONS * turn)},
        pools={f"{pool}:{listener}": PoolReport(status="UP", members=members)},
    )


def datagrams(path: Path) -> Iterator[bytes]:
    """What is in a file of `signed`."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = 0
        while at < len(text):
            (size,) = struct.unpack_from("<H", text, at)
            yield text[at + 2 : at + 2 + size]
            at += 2 + size


def differing(database: Database, amphorae: int, rounds: int) -> int:
    """Rows that say something else than was said last."""
    counters = t.listener_statistics.c
    first = {_id(6, number) for number in range(0, amphorae, _CHANGING)} if rounds % 2 else set()
    with database.read() as connection:
        total = select(func.count()).where(counters.total_connections == _CONNECTIONS * rounds)
        counted = connection.execute(total).scalar_one()
        status = t.member.c.operating_status
        down = connection.execute(select(t.member.c.id).where(status == "ERROR")).scalars()
        return amphorae - int(counted) + len(first.symmetric_difference(down))
