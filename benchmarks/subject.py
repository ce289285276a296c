"""A service under measurement: its address, its processes, and its database."""

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from msgspec import Struct
from sqlalchemy import URL, Engine, create_engine

from benchmarks import mariadb
from benchmarks.processes import cpu_seconds

#: of whoever asks, in both services: nobody authenticates
_PROJECT = "5b0c6f7a9d3e4c128f60718293a4b5c6"
_HEADERS = {"X-Project-Id": _PROJECT, "Content-Type": "application/json"}
_API = "/v2/lbaas"
#: seconds that a service has to answer for the first time
_PATIENCE = 60.0


class Request(Struct, frozen=True):
    """`path` below the API's root; `status` is what the answer must have."""

    method: str
    path: str
    body: bytes | None = None
    status: int = 200


class Spent(Struct, frozen=True):
    """ms of CPU a request, of all processes of the service and of the database's; requests a second of one client."""

    cpu: float
    database: float
    rate: float


class Subject:
    """One service, asked over one kept connection."""

    def __init__(self, name: str, pid: int, port: int, database: URL) -> None:
        self.name = name
        self.pid = pid
        self.engine: Engine = create_engine(database)
        self._database = mariadb.process_id(self.engine)
        self._client = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=1, timeout=120.0, retries=False)

    def ask(self, request: Request) -> Any:
        """The answer's JSON; None without a body. Raises AssertionError for another status."""
        answer = self._client.request(request.method, _API + request.path, body=request.body, headers=_HEADERS)
        assert answer.status == request.status, f"{self.name}: {request.path}: {answer.status} {answer.data[:500]!r}"
        return json.loads(answer.data) if answer.data else None

    def measure(self, requests: Sequence[Request]) -> Spent:
        """Send requests one after the other."""
        before, started = (cpu_seconds(self.pid), cpu_seconds(self._database)), time.monotonic()
        for request in requests:
            self.ask(request)
        seconds, number = time.monotonic() - started, len(requests)
        own, database = cpu_seconds(self.pid) - before[0], cpu_seconds(self._database) - before[1]
        return Spent(cpu=own / number * 1000, database=database / number * 1000, rate=number / seconds)

    def wait_answers(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Until the service lists; raises when its process ends first."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.ask(Request("GET", "/loadbalancers"))
            except urllib3.exceptions.HTTPError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not answer:\n{log.read_text()[-2000:]}") from None
                time.sleep(0.1)
            else:
                return

    def close(self) -> None:
        """Close the connections to the service and its database."""
        self._client.close()
        self.engine.dispose()


@contextmanager
def started(
    name: str, command: Sequence[str], *, port: int, database: URL, log: Path, **options: Any
) -> Iterator[Subject]:
    """A service run by `command`, which must answer at `port`; ended at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    subject = Subject(name, process.pid, port, database)
    try:
        subject.wait_answers(process, log)
        yield subject
    finally:
        subject.close()
        process.terminate()
        process.wait()
