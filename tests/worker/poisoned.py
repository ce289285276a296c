"""The life of a worker in a process of its own, with agents of which one load balancer's are the end of it."""

import os
import signal
import time
from pathlib import Path
from threading import Event

from livia.core.clock import SystemClock
from livia.core.drivers import Placement
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.core.wake import NoWake
from livia.drivers.amphora.noop import NoopAmphorae
from livia.drivers.compute.noop import NoopCompute
from livia.drivers.network.local import LocalNetworks
from livia.drivers.secrets.noop import NoopSecrets
from livia.drivers.secrets.seal import KeySeal
from livia.store.engine import Database
from livia.worker.reconciler import Reconciler
from livia.worker.runner import Drivers
from livia.worker.seat import Seat
from livia.worker.service import Worker

#: seconds after which an unfinished change shows ERROR
DEADLINE = 4.0


class Poison(NoopAmphorae):
    """Agents that take a while; the call of the load balancer that the file `guilty` names kills the process first."""

    def __init__(self, guilty: Path) -> None:
        super().__init__()
        self._guilty = guilty

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        if assignment.spec.load_balancer_id == self._guilty.read_text():
            # Those that were begun together with it are under way by then.
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.3)
        return super().apply(placement, assignment)


def live(url: str, directory: Path) -> None:
    """Work until killed. `directory`: that of the seats, with the file `guilty`."""
    clock, database = SystemClock(), Database(url, durable=False)
    drivers = Drivers(
        network=LocalNetworks(database, clock),
        compute=NoopCompute(),
        amphorae=Poison(directory / "guilty"),
        secrets=NoopSecrets(),
        seal=KeySeal(b"s" * 32),
    )
    seat = Seat(directory, "host")
    Worker(
        database,
        lambda executors: Reconciler(database, drivers, clock, executors, deadline=DEADLINE),
        lambda seconds: Event().wait(min(seconds, 0.05)),
        NoWake(),
        owner=seat.owner,
        deserted=seat.deserted,
        deadline=DEADLINE,
    ).run()
