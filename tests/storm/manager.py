"""A real health manager in a process of its own, whose second path is plain HTTP to the test.

Arguments: database URL, port of the second path, seconds of the timeout. It tells its UDP port in a line of standard
output, then for each line of standard input the state of its guard; it ends with its input.
"""

import http.client
import sys
from contextlib import closing
from threading import Event, Thread, local

import msgspec
from prometheus_client import CollectorRegistry

from livia.core.clock import SystemClock
from livia.core.drivers import Placement, Unreachable
from livia.core.plan.failover import Guard
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.compute.noop import NoopCompute
from livia.health.receiver import Listen
from livia.health.service import FarSides, HealthManager, Options
from livia.health.watch import Limits
from livia.ops import logs
from livia.store.engine import Database

KEY = "the key of the storm"


class HttpAgents:
    """An AmphoraDriver that can only look."""

    def __init__(self, port: int, patience: float) -> None:
        self._port = port
        self._patience = patience
        self._own = local()

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        raise Unreachable("nothing is applied here")

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        try:
            connection = self._connection()
            connection.request("GET", f"/{amphora_id}")
            with closing(connection.getresponse()) as answer:
                body = answer.read()
                return None if answer.status == 404 else msgspec.json.decode(body, type=Applied)
        except (OSError, http.client.HTTPException) as error:
            self._connection().close()
            raise Unreachable(f"no answer: {error!r}") from error

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        raise Unreachable("nothing is removed here")

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._patience)
        found: http.client.HTTPConnection = self._own.connection
        return found


def main() -> None:
    """Run until the input ends."""
    logs.configure(sys.stderr, json=False, level=logs.level(debug=False))
    url, second_path, timeout = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    registry, stop = CollectorRegistry(), Event()
    manager = HealthManager(
        Database(url),
        FarSides(compute=NoopCompute(), agents=HttpAgents(second_path, timeout / 4), wake=NoWake()),
        SystemClock(),
        Options(
            listen=Listen(address="127.0.0.1", port=0), key=KEY, limits=Limits(timeout=timeout, interval=timeout / 10)
        ),
        registry,
    )
    life = Thread(target=manager.run, args=(stop,))
    life.start()
    print(manager.port, flush=True)
    for _line in sys.stdin:
        states = [each for each in Guard if registry.get_sample_value("livia_health_guard", {"state": each})]
        print(*states, flush=True)
    stop.set()
    life.join()


if __name__ == "__main__":
    main()
