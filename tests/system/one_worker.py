"""One life of a worker on a real installation, in a process of its own.

It kills itself with SIGKILL before its `step`-th action; with a step beyond the plan it finishes and exits with 0.
"""

import itertools
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from livia.core.plan.load_balancer import Action, Kind
from livia.drivers.network.local import LocalNetworks
from livia.ops import drivers
from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.state import State
from livia.store import leases
from livia.worker.attempt import Executors
from livia.worker.outcome import Done
from livia.worker.reconciler import Reconciler
from livia.worker.runner import Drivers
from livia.worker.service import HeldLease


def live(state: Path, config: Path, key: str, step: int) -> None:
    """Reconcile `key` once, and exit."""
    settings, _warnings = load([config])
    installation = Installation(State(state), settings)
    database = installation.database()
    far_sides = Drivers(
        network=LocalNetworks(database, installation.clock),
        compute=installation.hosts(database),
        amphorae=installation.agents(),
        secrets=drivers.secrets(installation.complete_settings, database, installation.clock),
        seal=drivers.seal(installation.complete_settings),
    )
    numbers = itertools.count()

    def before(action: Action) -> None:
        # Looks at an election change nothing, and how many there are is up to the clock.
        if action.kind is not Kind.OBSERVE and next(numbers) >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    with ThreadPoolExecutor(4) as pool:
        reconciler = Reconciler(
            database, far_sides, installation.clock, Executors(actions=pool, removals=pool), before=before
        )
        # The same owner each time, as a worker that was started again.
        lease = database.transaction(lambda connection: leases.take(connection, key, "worker", 60.0))
        assert lease is not None
        outcome = reconciler.reconcile(HeldLease(lease), attempts=0, spent=0.0)
    sys.exit(0 if isinstance(outcome, Done) else f"{outcome}")
