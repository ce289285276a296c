"""One SQLite file: connections to it, and the line in which its writers wait."""

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.engine import URL

#: seconds that a writer waits for others
_PATIENCE = 30.0
#: seconds between two looks whether another process writes still; at first, and once that takes long
_LOOK, _LATER_LOOK = 0.0005, 0.01


@cache
def _line(_url: str) -> Lock:
    """Where writers of one SQLite file wait within this process. SQLite itself lets them sleep, ever longer, and look
    whether it is free: with a few threads most of the time nobody writes while all sleep."""
    return Lock()


class File:
    """Lends connections to a file. To take one out of SQLAlchemy's pool and wrap it anew costs more than most
    statements do here: as they are, connections wait for who wants one next.

    `durable`: as of `Database`.
    """

    def __init__(self, url: URL, *, durable: bool) -> None:
        self.engine = create_engine(
            url, poolclass=NullPool, connect_args={"timeout": _PATIENCE, "check_same_thread": False}
        )
        self._line = _line(str(url))
        self._resting: deque[Connection] = deque()

        @event.listens_for(self.engine, "connect")
        def configure(connection: Any, _record: Any) -> None:
            # The driver's own BEGIN is lazy and deferred; `transaction` sends another.
            connection.isolation_level = None
            for pragma in (
                "journal_mode = WAL",
                f"synchronous = {'FULL' if durable else 'NORMAL'}",
                "foreign_keys = ON",
            ):
                connection.execute(f"PRAGMA {pragma}")

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """One that nobody else uses meanwhile. What is not committed at the end is rolled back."""
        try:
            lent = self._resting.pop()
        except IndexError:
            lent = self.engine.connect()
        usable = False
        try:
            yield lent
        finally:
            try:
                lent.rollback()
                usable = not lent.invalidated
            finally:
                if usable:
                    self._resting.append(lent)
                else:
                    lent.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The same, as the only writer."""
        ours = self._line.acquire(timeout=_PATIENCE)
        try:
            with self.connection() as connection:
                connection.begin()
                _begin(connection)
                yield connection
        finally:
            if ours:
                self._line.release()

    def close(self) -> None:
        """Close the connections that rest."""
        while self._resting:
            self._resting.pop().close()


def _begin(connection: Connection) -> None:
    """Become the only writer, or raise OperationalError.

    IMMEDIATE: a reader that becomes a writer half-way would fail at once instead of waiting its turn. SQLite would
    sleep 1, 2, 5, 10, ... 100 ms between two looks whether another process writes still, and all writers of this one
    with it.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        if not _begun(driver):
            # Whatever is wrong is told as it is for other statements.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_PATIENCE * 1000:.0f}")


def _begun(driver: sqlite3.Connection) -> bool:
    """Wait for other writers. False: they take too long, or something else is wrong."""
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < _PATIENCE:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            # The low byte of an extended code says which error it is one of (sqlite.org/rescode.html).
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(max(_LOOK, min(_LATER_LOOK, waited / 20)))
        else:
            return True
    return False
