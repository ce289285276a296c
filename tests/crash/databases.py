"""The databases of a campaign, and how each of them is made to answer late or not at all."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

_SOCKET = "/run/mysqld/mysqld.sock"
_PORT = 23306
#: what every change writes, and every look reads
_LOCKED = ("load_balancer", "work", "lease")

Release = Callable[[], None]


class LockError(Exception):
    """The lock was not to be had."""


class Database(Protocol):
    """`url`: what the configuration says; empty: the file in the state directory."""

    url: str
    #: (port, UNIX socket) of the relay that it is reached through
    relay: tuple[int, str] | None

    def lock(self, state: Path) -> Release:
        """Let nobody else write until released. Raises LockError."""

    def close(self) -> None:
        """Leave nothing."""


class Sqlite:
    """A file on the disk that may be full."""

    url: str = ""
    relay: tuple[int, str] | None = None

    def lock(self, state: Path) -> Release:
        try:
            connection = sqlite3.connect(state / "livia.db", timeout=5, check_same_thread=False)
            connection.isolation_level = None
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise LockError(str(error)) from error
        return connection.close

    def close(self) -> None:
        """The file goes with its directory."""


class MariaDb:
    """A database of its own on the server of this machine, reached through a link that can be cut and slow."""

    def __init__(self) -> None:
        self._name = f"livia_crash_{uuid4().hex[:12]}"
        self._admin = create_engine(
            f"mysql+pymysql://root@localhost/mysql?unix_socket={_SOCKET}", isolation_level="AUTOCOMMIT"
        )
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {self._name}"))
        self.url = f"mysql+pymysql://root@127.0.0.1:{_PORT}/{self._name}"
        self.relay: tuple[int, str] | None = (_PORT, _SOCKET)

    def lock(self, state: Path) -> Release:
        connection = self._admin.connect()
        connection.execute(text("SET SESSION lock_wait_timeout = 5"))
        tables = ", ".join(f"{self._name}.{table} WRITE" for table in _LOCKED)
        try:
            connection.execute(text(f"LOCK TABLES {tables}"))
        except OperationalError as error:
            connection.close()
            raise LockError(str(error.orig)) from error

        def release() -> None:
            connection.execute(text("UNLOCK TABLES"))
            connection.close()

        return release

    def close(self) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {self._name}"))
        self._admin.dispose()


KINDS: dict[str, Callable[[], Database]] = {"sqlite": Sqlite, "mariadb": MariaDb}
