"""MariaDB for measuring: the server at its standard local address, or one of our own; databases on it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

_STANDARD = make_url("mysql+pymysql://root@127.0.0.1:3306/mysql")
#: seconds that a server of our own has to start
_PATIENCE = 60.0


@contextmanager
def server() -> Iterator[URL]:
    """The URL of a server's administrative database."""
    if _answers(_STANDARD):
        yield _STANDARD
        return
    with _own_server() as url:
        yield url


@contextmanager
def database(administrative: URL, name: str) -> Iterator[URL]:
    """An empty database of this name; one that an earlier run left is replaced. Dropped at the end."""
    engine = create_engine(administrative, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield administrative.set(database=name)
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
    finally:
        engine.dispose()


def process_id(engine: Engine) -> int:
    """Of the server."""
    with engine.connect() as connection:
        return int(Path(connection.execute(text("SELECT @@pid_file")).scalar_one()).read_text())


@contextmanager
def _own_server() -> Iterator[URL]:
    directory = Path(tempfile.mkdtemp(prefix="lv-mariadb-"))
    data = directory / "data"
    options = ["--no-defaults", f"--datadir={data}", *(["--user=root"] if os.geteuid() == 0 else [])]
    subprocess.run(
        ["mariadb-install-db", *options, "--auth-root-authentication-method=normal"], check=True, capture_output=True
    )
    port = free_port()
    process = subprocess.Popen(
        ["mariadbd", *options, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={directory / 'socket'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = _STANDARD.set(port=port)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MariaDB does not answer at its standard local address, and ours did not start")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody listens on, TCP's unless it is asked for another."""
    with socket.socket(type=kind) as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _answers(url: URL) -> bool:
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()
