"""Databases for tests: fresh ones, those that tests use in turn, and rows put in without the API."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, make_url, text
from sqlalchemy.exc import OperationalError

from livia.store import tables as t
from livia.store import work
from livia.store.engine import Database

NOW = datetime(2026, 3, 2, 10, 11, 12)  # noqa: DTZ001 - naive UTC, as the tables hold it

#: servers at their standard local addresses, by kind
ADDRESSES = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306/mysql",
}


def _answers(url: str) -> bool:
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()


#: the kinds that answer on this machine; the test command starts those that are installed
SERVERS = [kind for kind, url in ADDRESSES.items() if _answers(url)]


@contextmanager
def server_database(kind: str) -> Iterator[Database]:
    """An empty database of its own on a server, dropped at the end."""
    name = f"livia_test_{uuid4().hex[:12]}"
    admin = create_engine(ADDRESSES[kind], isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    database = Database(make_url(ADDRESSES[kind]).set(database=name))
    try:
        yield database
    finally:
        database.close()
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        admin.dispose()


def fresh(directory: Path) -> Database:
    """An empty database with every table."""
    database = Database(f"sqlite:///{directory / 'livia.db'}", durable=False)
    t.metadata.create_all(database.engine, checkfirst=False)
    return database


class Slates:
    """A database of each kind that tests use one after the other: each finds every table, and nothing in them.

    What would be made anew for each test costs more than most tests do: the tables (a second on MariaDB), and the
    engine, which knows the statements that it has compiled.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: dict[str, Database] = {}
        self._end = ExitStack()

    def clean(self, kind: str) -> Database:
        """The database of this kind, emptied."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        database = self._made[kind]
        with database.write() as connection:
            for table in reversed(t.metadata.sorted_tables):
                connection.execute(delete(table))
        return database

    def _make(self, kind: str) -> Database:
        if kind == "sqlite":
            database = fresh(self._directory)
            self._end.callback(database.close)
            return database
        database = self._end.enter_context(server_database(kind))
        t.metadata.create_all(database.engine, checkfirst=False)
        return database

    def close(self) -> None:
        """Drop what was made."""
        self._end.close()


def put_load_balancer(
    database: Database,
    *,
    topology: str = "ACTIVE_STANDBY",
    network_id: str = "net",
    subnet_id: str = "subnet",
    address: str = "10.0.0.9",
    port_id: str = "port",
    project_id: str = "project",
) -> str:
    """A load balancer as the API stores it: generation 1, PENDING_CREATE, its work row due. Its id."""
    load_balancer_id = str(uuid4())
    common = {"project_id": project_id, "enabled": True, "operating_status": "OFFLINE", "created_at": NOW}
    pending = {**common, "provisioning_status": "PENDING_CREATE", "generation": 1}
    with database.write() as connection:
        connection.execute(
            insert(t.load_balancer).values(
                id=load_balancer_id, name="web", topology=topology, provider="amphora", **pending
            )
        )
        connection.execute(
            insert(t.vip).values(
                load_balancer_id=load_balancer_id,
                ip_address=address,
                port_id=port_id,
                subnet_id=subnet_id,
                network_id=network_id,
                octavia_owned=True,
            )
        )
        _put_children(connection, {**pending, "load_balancer_id": load_balancer_id})
        work.request(connection, load_balancer_id, project_id=project_id)
    return load_balancer_id


def _put_children(connection: Connection, common: dict[str, object]) -> None:
    """A listener and its pool with a member; `common`: what every row has."""
    pool_id = str(uuid4())
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    connection.execute(insert(t.pool).values(id=pool_id, **pool, **common))
    listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool_id": pool_id}
    connection.execute(insert(t.listener).values(id=str(uuid4()), **listener, **common))
    member = {"pool_id": pool_id, "ip_address": "10.0.0.21", "protocol_port": 80, "weight": 1, "backup": False}
    unwatched = {**common, "operating_status": "NO_MONITOR"}
    connection.execute(insert(t.member).values(id=str(uuid4()), **member, **unwatched))


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL statements of the block, of all threads; what begins a transaction is none."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
