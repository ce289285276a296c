"""The database: engine, transactions, and the few things that databases say differently."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Double, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.functions import FunctionElement

from livia.store.sqlite import File

_T = TypeVar("_T")

#: error numbers by which MySQL and MariaDB say that somebody else won
_LOST_RACE_MYSQL = {1205, 1213, 1020}
#: SQLSTATEs of serialization failure and deadlock in PostgreSQL
_LOST_RACE_POSTGRES = {"40001", "40P01"}
_ATTEMPTS = 8
#: seconds of rest after which a connection is asked whether it still lives before it is used: at every use, the
#: question would cost as much as the answer to the request
_REST = 1.0
#: seconds that a server may take to take a connection, where it is not waited for without an end
_CONNECT_SECONDS = 10


class database_now(FunctionElement[float]):  # noqa: N801 - an SQL function, lower case as SQLAlchemy's own
    """Seconds since the epoch by the database's clock: the only clock that leases are compared with."""

    type = Double()
    inherit_cache = True
    name = "database_now"


@compiles(database_now, "sqlite")
def _sqlite_now(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql_now(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "(UNIX_TIMESTAMP(NOW(6)) + 0.0e0)"


@compiles(database_now, "postgresql")
def _postgres_now(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


class Unit:
    """What one thread does with the database in `Database.together`: one transaction, begun by its first write.

    Until then reads stand alone, as they do without a unit: nothing is locked while a far side is asked.
    """

    def __init__(self, transaction: AbstractContextManager[Connection]) -> None:
        self._transaction = transaction
        self._held = ExitStack()
        #: set once the transaction has begun
        self.connection: Connection | None = None
        self.after_commit: list[Callable[[], None]] = []
        self.undo: list[Callable[[], None]] = []

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A part of the transaction, which is rolled back alone when the block raises."""
        if self.connection is None:
            self.connection = self._held.enter_context(self._transaction)
        part = self.connection.begin_nested()
        try:
            yield self.connection
        except BaseException as error:
            # After a lost race MySQL has rolled back everything, savepoints too: the unit begins anew as a whole.
            if not (isinstance(error, DBAPIError) and lost_race(error)):
                part.rollback()
            raise
        part.commit()

    def commit(self) -> None:
        """Keep what was written."""
        if self.connection is not None:
            self.connection.commit()

    def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        self._held.close()


class _OfThread(threading.local):
    """The unit that is open in this thread."""

    unit: Unit | None = None


class Database:
    """One engine for transactions, one for reading, where each statement stands alone.

    `durable=False` lets SQLite skip the disk flush of a commit (heartbeats, statistics): such a write survives
    the death of the process, not that of the machine. `rest`: seconds, see `_REST`. `patience`: seconds that a server
    may take for an answer; None: as long as it likes, which migrations of large tables need.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 10,
        durable: bool = True,
        rest: float = _REST,
        patience: int | None = None,
    ) -> None:
        self.url = make_url(url)
        self._file: File | None = None
        if self.url.get_backend_name() == "sqlite":
            self._file = File(self.url, durable=durable)
            self.engine = self._reader = self._file.engine
        else:
            # Read what is committed now: neither a plan nor a quota may follow from a snapshot of a moment ago.
            self.engine = _server(self.url, pool_size, rest, patience, isolation_level="READ COMMITTED")
            # An engine of its own: to switch a connection to and fro would be four statements around each one.
            self._reader = _server(
                self.url, pool_size, rest, patience, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
            )
        self._open = _OfThread()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading, each statement on its own. Nothing is committed.

        In a unit that has written it shows what the unit wrote.
        """
        unit = self._open.unit
        if unit is not None and unit.connection is not None:
            yield unit.connection
            return
        with self._reader.connect() if self._file is None else self._file.connection() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back when the block raises. In a unit: a part of that."""
        unit = self._open.unit
        with self._begin() if unit is None else unit.write() as connection:
            yield connection

    def transaction(self, act: Callable[[Connection], _T]) -> _T:
        """Run `act` in a transaction, again when somebody else won the race for its rows.

        `act` must have no effect outside the database: it may run several times. In a unit it is a part of that,
        and a lost race begins the whole unit again.
        """
        unit = self._open.unit
        if unit is not None:
            with unit.write() as connection:
                return act(connection)
        return _persistently(lambda: self._transaction(act))

    def _transaction(self, act: Callable[[Connection], _T]) -> _T:
        with self._begin() as connection:
            return act(connection)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._begun() as connection:
            yield connection
            connection.commit()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A transaction: rolled back at the end unless it is committed."""
        if self._file is not None:
            with self._file.transaction() as connection:
                yield connection
            return
        with self.engine.connect() as connection:
            connection.begin()
            yield connection

    def together(self, act: Callable[[], _T], *, keep: bool = True) -> _T:
        """Run `act` as one unit: every `transaction` and `write` of this thread meanwhile is a part of it.

        Committed at the end; rolled back without `keep`, or when `act` raises. It runs again when somebody else won
        the race for its rows: effects outside the database go through `after_commit` and `undoing`.
        """
        return _persistently(lambda: self._together(act, keep))

    def _together(self, act: Callable[[], _T], keep: bool) -> _T:
        assert self._open.unit is None  # noqa: S101 - units do not nest
        unit = self._open.unit = Unit(self._begun())
        kept = False
        try:
            result = act()
            if keep:
                unit.commit()
                kept = True
        finally:
            self._open.unit = None
            unit.close()
            if not kept:
                for undo in reversed(unit.undo):
                    undo()
        for each in unit.after_commit if kept else ():
            each()
        return result

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within the block this thread sees what is committed, whatever its unit has written."""
        unit, self._open.unit = self._open.unit, None
        try:
            yield
        finally:
            self._open.unit = unit

    def after_commit(self, act: Callable[[], None]) -> None:
        """Run `act` now; in a unit when that is committed, and never if it is rolled back."""
        unit = self._open.unit
        if unit is None:
            act()
        else:
            unit.after_commit.append(act)

    @contextmanager
    def undoing(self, undo: Callable[[], None]) -> Iterator[None]:
        """Run `undo` if what the block writes is not kept: when it raises, or when its unit is rolled back."""
        unit = self._open.unit
        if unit is not None:
            unit.undo.append(undo)
            yield
            return
        try:
            yield
        except BaseException:
            undo()
            raise

    def on_error(self, tell: Callable[[str], None]) -> None:
        """Have each failed statement or connection told: `lost_race`, `disconnected` or `other`.

        A row that is there already is no failure: that is asked for by inserting it.
        """

        def told(context: ExceptionContext) -> None:
            error = context.sqlalchemy_exception
            if isinstance(error, IntegrityError):
                return
            if isinstance(error, DBAPIError) and lost_race(error):
                tell("lost_race")
            else:
                tell("disconnected" if context.is_disconnect else "other")

        # One for both, or one each.
        for dialect in {self.engine.dialect, self._reader.dialect}:
            event.listen(dialect, "handle_error", told)

    def about(self, error: SQLAlchemyError) -> str:
        """What it said that it could not do, in one line: without the statement, which may hold what is private."""
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        return f"The database {self.url!r} cannot be used: {said}"

    def close(self) -> None:
        """Close all connections that rest, e.g. before a fork. What is asked next opens new ones."""
        if self._file is not None:
            self._file.close()
        self.engine.dispose()
        self._reader.dispose()


def _persistently(act: Callable[[], _T]) -> _T:
    """Run `act`, again when it lost a race."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return act()
        except DBAPIError as error:
            if not lost_race(error):
                raise
            time.sleep(random.uniform(0.002, 0.01 * 2**attempt))  # noqa: S311 - jitter
    return act()


def lost_race(error: DBAPIError) -> bool:
    """Whether another transaction won: the whole transaction is worth another try."""
    if not isinstance(error, OperationalError):
        return False
    original: Any = error.orig
    if getattr(original, "sqlstate", None) in _LOST_RACE_POSTGRES:
        return True
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    return bool(arguments) and (arguments[0] in _LOST_RACE_MYSQL or "database is locked" in str(arguments[0]))


def _server(url: URL, pool_size: int, rest: float, patience: int | None, **options: Any) -> Engine:
    # Every connection comes back committed or rolled back: the pool need not say so again.
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        pool_recycle=3600,
        pool_reset_on_return=None,
        connect_args={} if patience is None else _limits(url, patience),
        **options,
    )
    _ask_rested(engine, rest)
    if patience is not None and url.get_backend_name() == "postgresql":
        _limit_statements(engine, patience)
    if url.get_backend_name() in ("mysql", "mariadb"):
        _prepare_mysql(engine)
    return engine


def _limits(url: URL, seconds: int) -> dict[str, int]:
    """What tells a driver how long to wait, unless the URL does."""
    limits = {"connect_timeout": _CONNECT_SECONDS}
    if url.get_backend_name() in ("mysql", "mariadb"):
        limits |= {"read_timeout": seconds, "write_timeout": seconds}
    else:
        # Milliseconds; for a server that is not there any more (tcp(7), TCP_USER_TIMEOUT).
        limits["tcp_user_timeout"] = seconds * 1000
    return {name: limit for name, limit in limits.items() if name not in url.query}


def _limit_statements(engine: Engine, seconds: int) -> None:
    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {seconds * 1000}")
        connection.commit()


def _ask_rested(engine: Engine, enough: float) -> None:
    """A connection that rested is asked whether it lives, and replaced if not: servers and firewalls close them."""

    @event.listens_for(engine, "checkin")
    def rest(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        since = record.info.get("since")
        if since is None or time.monotonic() - since < enough:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def _prepare_mysql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION group_concat_max_len = 16777216")
            cursor.execute("SET SESSION time_zone = '+00:00'")
