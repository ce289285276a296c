"""A load balancer that is ACTIVE on two amphorae, and the parts of a health manager, driven by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry
from sqlalchemy import event, select

from livia.core.drivers import Placement, Unreachable
from livia.core.model.amphora import Role
from livia.core.model.event import Event
from livia.core.report import (
    HEARTBEAT_VERSION,
    Applied,
    Heartbeat,
    ListenerCounters,
    ListenerReport,
    ListenerTotals,
    PoolReport,
)
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.compute.noop import NoopCompute
from livia.health.deaths import Registrar
from livia.health.fleet import Fleet
from livia.health.metrics import Metrics
from livia.health.probes import Probes
from livia.health.watch import Limits, Watch
from livia.health.writer import Writer
from livia.store import amphorae, confirmation, events, trees, work
from livia.store import tables as t
from livia.store.engine import Database
from tests import database as rows

TIMEOUT = 10.0
TRAFFIC = ListenerCounters(tx=200, rx=100, conns=3, totconns=7, ereq=1)


class ManualClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return rows.NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def applied(amphora_id: str, *, generation: int = 1, forwarding: bool = True, holds_vip: bool = True) -> Applied:
    """What an agent confirms."""
    return Applied(
        amphora_id=amphora_id,
        load_balancer_id="",
        generation=generation,
        digest="d1",
        fence=1,
        holds_vip=holds_vip,
        forwarding=forwarding,
    )


class Agents:
    """Agents that cannot be reached, but for those of `answers`: amphora id to whether it forwards."""

    def __init__(self) -> None:
        self.answers: dict[str, bool] = {}
        self.asked: list[str] = []

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        raise Unreachable("no route to host")

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        self.asked.append(amphora_id)
        if amphora_id not in self.answers:
            raise Unreachable("no route to host")
        return applied(amphora_id, forwarding=self.answers[amphora_id])

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        raise Unreachable("no route to host")


class Manager:
    """One health manager of several."""

    def __init__(self, database: Database, clock: ManualClock, agents: Agents, threshold: int | None = None) -> None:
        self.clock = clock
        self.fleet = Fleet(gap=TIMEOUT / 2)
        self.registry = CollectorRegistry()
        self.outages = 0
        metrics = Metrics(self.registry)
        self.writer = Writer(
            database, self.fleet, clock, self._outage, metrics.writing, behind=lambda: 0.0, timeout=TIMEOUT
        )
        self.probes = Probes(
            database,
            NoopCompute(),
            agents,
            clock,
            threads=4,
            shelf_life=TIMEOUT / 2,
            heard=lambda: min(self.fleet.anybody, self.arrived()),
        )
        self.arrived = clock.monotonic
        self.watch = Watch(
            database,
            self.fleet,
            clock,
            self.probes,
            Registrar(database, clock, NoWake()),
            metrics,
            Limits(timeout=TIMEOUT, interval=1.0, threshold=threshold),
            arrived=lambda: self.arrived(),
            on_forget=lambda _sender: None,
        )

    def _outage(self) -> None:
        self.outages += 1

    def flush(self) -> None:
        """Write what was heard, as the writer does when its time has come."""
        self.clock.seconds += 0.01
        self.writer.flush(self.fleet.take(0.0), everything=True)

    def look(self) -> None:
        self.watch.look()

    def wait(self, seconds: float) -> None:
        """Look each second."""
        for _ in range(round(seconds)):
            self.clock.seconds += 1
            self.look()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


class Scene:
    """`database` is empty but for its tables."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock()
        self.agents = Agents()
        self.key = self.add(("a1", "a2"))
        with database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        self.listener = tree.listeners[0].id
        self.pool = tree.pools[0].id
        self.member = tree.pools[0].members[0].id
        self.manager = self.start()

    def start(self, threshold: int | None = None) -> Manager:
        return Manager(self.database, self.clock, self.agents, threshold)

    def add(self, amphora_ids: tuple[str, ...]) -> str:
        """Another load balancer, with these amphorae. Its id."""
        key = rows.put_load_balancer(self.database)
        with self.database.read() as connection:
            tree = trees.load(connection, key)
        assert tree is not None
        with self.database.write() as connection:
            for amphora_id, role in zip(amphora_ids, (Role.MASTER, Role.BACKUP), strict=False):
                amphorae.add(connection, amphora_id, tree.load_balancer, role, rows.NOW)
                amphorae.record(connection, amphora_id, rows.NOW, compute_id=f"host-{amphora_id}")
                first = applied(amphora_id, holds_vip=role is Role.MASTER)
                amphorae.record_applied(connection, first, rows.NOW)
            confirmation.confirm(connection, key, 1, rows.NOW)
            work.done(connection, key, 1)
        return key

    def beat(
        self,
        amphora_id: str,
        *,
        by: Manager | None = None,
        seq: int = 1,
        member: str = "UP",
        pool: str = "UP",
        generation: int = 1,
        digest: str = "d1",
        holds_vip: bool = True,
        stats: ListenerCounters = TRAFFIC,
        totals: ListenerTotals | None = None,
        ver: int = HEARTBEAT_VERSION,
    ) -> None:
        """One manager hears a heartbeat, and writes what there is to write."""
        assert pool in ("UP", "DOWN")
        manager = by or self.manager
        self.clock.seconds += 0.01
        report = PoolReport(status="UP" if pool == "UP" else "DOWN", members={self.member: member})
        manager.fleet.hear(
            [
                Heartbeat(
                    id=amphora_id,
                    seq=seq,
                    ver=ver,
                    generation=generation,
                    digest=digest,
                    holds_vip=holds_vip,
                    listeners={self.listener: ListenerReport(status="OPEN", stats=stats)},
                    totals={} if totals is None else {self.listener: totals},
                    pools={f"{self.pool}:{self.listener}": report},
                )
            ],
            self.clock.seconds,
        )
        manager.flush()

    def statuses(self) -> tuple[str, str, str, str]:
        """Load balancer, listener, pool, member."""
        with self.database.read() as connection:
            tree = trees.load(connection, self.key)
        assert tree is not None
        pool = tree.pools[0]
        return (
            tree.load_balancer.operating_status,
            tree.listeners[0].operating_status,
            pool.operating_status,
            pool.members[0].operating_status,
        )

    def counters(self) -> list[tuple[str, int, int, int, int]]:
        """Amphora, bytes in and out, connections in all and now."""
        query = select(t.listener_statistics).order_by(t.listener_statistics.c.amphora_id)
        with self.database.read() as connection:
            found = connection.execute(query).all()
        return [
            (row.amphora_id, row.bytes_in, row.bytes_out, row.total_connections, row.active_connections)
            for row in found
        ]

    def amphora_status(self, amphora_id: str) -> str:
        with self.database.read() as connection:
            row = connection.execute(select(t.amphora.c.status).where(t.amphora.c.id == amphora_id)).one()
            return str(row.status)

    def dead(self) -> set[str]:
        """Amphorae that were declared dead."""
        with self.database.read() as connection:
            return set(connection.execute(select(t.amphora.c.id).where(t.amphora.c.status == "ERROR")).scalars())

    def count_statements(self, act: Callable[[], None]) -> int:
        """How many statements it sends, transactions not counted."""
        return len(self.statements(act))

    def statements(self, act: Callable[[], None]) -> list[str]:
        """Those that it sends, transactions left out."""
        sent: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            if not statement.startswith(("BEGIN", "COMMIT")):
                sent.append(statement)

        # The engine for reading is an option of the same one.
        event.listen(self.database.engine, "before_cursor_execute", note)
        try:
            act()
        finally:
            event.remove(self.database.engine, "before_cursor_execute", note)
        return sent

    def events(self) -> list[Event]:
        with self.database.read() as connection:
            return [entry for entry, _when in events.of_load_balancer(connection, self.key)]
