"""One SQLite file: connections to it, and the line in which its writers wait."""

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
                # IMMEDIATE: a reader that becomes a writer half-way would fail at once instead of waiting its turn.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        finally:
            if ours:
                self._line.release()

    def close(self) -> None:
        """Close the connections that rest."""
        while self._resting:
            self._resting.pop().close()
