"""`python -m tests.ops.supervised DESCRIPTOR DIRECTORY`: a supervisor with an API that starts as a file there says."""

import os
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from livia.api.arrival import Wsgi, unavailable, whole_bodies
from livia.ops.readiness import Readiness
from livia.ops.serving import ApiServer, Serving
from livia.ops.settings import SettingsError
from livia.ops.supervisor import Service, Supervisor, die_with_parent


def _answer(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def _start(how: Path) -> None:
    while (wanted := how.read_text()) == "hang":
        time.sleep(0.01)
    if wanted == "refuse":
        raise SettingsError("The sentence of an operator.")
    if wanted == "crash":
        raise ValueError("mysql://livia:secret@database")
    if wanted == "die":
        os._exit(3)


def main(listening: socket.socket, directory: Path) -> None:
    """Supervise until SIGTERM."""
    readiness = Readiness()

    def load() -> Wsgi:
        die_with_parent()
        with readiness.starting(sentences=(SettingsError,)):
            _start(directory / "how")
        return _answer

    def refuse() -> Wsgi:
        die_with_parent()
        return whole_bodies(unavailable(lambda: readiness.reason), 1 << 20)

    def run(what: Any) -> Any:
        return lambda: ApiServer(listening, Serving(threads=8, load=what)).run()

    stand_in = Service(name="stand-in", run=run(refuse), listening=listening)
    api = Service(name="api", run=run(load), listening=listening, readiness=readiness, stand_in=stand_in)
    supervisor = Supervisor([api], directory)
    supervisor.start()
    (directory / "started").touch()
    supervisor.run()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
