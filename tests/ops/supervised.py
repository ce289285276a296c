"""`python -m tests.ops.supervised DESCRIPTOR DIRECTORY`: a supervisor with an API that starts as a file there says.

`octavia.conf` there: it is Livia's own, with these settings. Else `how` says it in a word.
"""

import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from livia.api.arrival import Wsgi, unavailable, whole_bodies
from livia.ops.octavia_conf import load
from livia.ops.processes import Processes
from livia.ops.readiness import Readiness
from livia.ops.services import api_service
from livia.ops.serving import ApiServer, Serving
from livia.ops.settings import EMBEDDED
from livia.ops.supervisor import Service, Supervisor, die_with_parent


def _answer(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


class _RefusalError(Exception):
    """A sentence for everybody."""


def _start(how: Path) -> None:
    while (wanted := how.read_text()) == "hang":
        time.sleep(0.01)
    if wanted == "refuse":
        raise _RefusalError("The sentence of an operator.")
    if wanted == "crash":
        raise ValueError("mysql://livia:secret@database")
    if wanted == "die":
        os._exit(3)


def _scripted(listening: socket.socket, how: Path) -> Service:
    readiness = Readiness()

    def load() -> Wsgi:
        die_with_parent()
        with readiness.starting(lambda error: str(error) if isinstance(error, _RefusalError) else None):
            _start(how)
        return _answer

    def refuse() -> Wsgi:
        die_with_parent()
        return whole_bodies(unavailable(lambda: readiness.reason), 1 << 20)

    def run(what: Any) -> Any:
        return lambda: ApiServer(listening, Serving(threads=8, load=what)).run()

    stand_in = Service(name="stand-in", run=run(refuse), listening=listening)
    return Service(name="api", run=run(load), listening=listening, readiness=readiness, stand_in=stand_in)


def main(listening: socket.socket, directory: Path) -> None:
    """Supervise until SIGTERM."""
    conf = directory / "octavia.conf"
    if conf.exists():
        api = api_service(Processes(load([conf], EMBEDDED)[0], "test"), listening)
    else:
        api = _scripted(listening, directory / "how")
    supervisor = Supervisor([api], directory)
    supervisor.start()
    (directory / "started").touch()
    supervisor.run()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
