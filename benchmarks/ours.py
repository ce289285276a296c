"""Our own API as one process, on any database, with networks that cost nothing.

`python -m benchmarks.ours PORT DATABASE_URL` is the service; `ours` starts it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from sqlalchemy import URL

from benchmarks.mariadb import free_port
from benchmarks.subject import Subject, started
from livia.api.app import create
from livia.core.clock import SystemClock
from livia.core.wake import NoWake
from livia.drivers.network.noop import NoopNetworks
from livia.drivers.secrets.noop import NoopSecrets
from livia.ops.supervisor import die_with_parent
from livia.services.context import Deps
from livia.store import schema
from livia.store.engine import Database


@contextmanager
def ours(database: URL, directory: Path) -> Iterator[Subject]:
    """The service, on an empty database."""
    schema.upgrade(Database(database))
    port = free_port()
    url = database.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.ours", str(port), url]
    with started("Livia", command, port=port, database=database, log=directory / "livia.log") as subject:
        yield subject


def _serve(port: int, database: str) -> None:
    def load() -> Callable[..., Any]:
        die_with_parent()
        deps = Deps(
            database=Database(database),
            network=NoopNetworks(),
            secrets=NoopSecrets(),
            wake=NoWake(),
            clock=SystemClock(),
        )
        return create(deps)

    server = Granian("livia", port=port, interface=Interfaces.WSGI, blocking_threads=4, log_enabled=False)
    server.serve(target_loader=load, wrap_loader=False)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
