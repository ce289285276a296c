"""The health manager: one thread receives, one writes, one watches."""

import gc
from collections.abc import Callable
from threading import Event, Thread

from msgspec import Struct
from prometheus_client import CollectorRegistry

from livia.core.clock import Clock
from livia.core.drivers import AmphoraDriver, ComputeDriver
from livia.core.wake import Wake
from livia.health.deaths import Registrar
from livia.health.fleet import Fleet
from livia.health.metrics import Metrics
from livia.health.probes import Probes
from livia.health.receiver import Listen, Receiver
from livia.health.watch import Limits, Watch
from livia.health.wire import Decoder
from livia.health.writer import Writer
from livia.store.engine import Database

#: of the timeout: so long may nobody at all be heard before we count as having been cut off, and so long an answer of
#: the second path is believed
_HALF = 0.5


class FarSides(Struct, frozen=True, kw_only=True):
    """The second path: where amphorae are, and their agents. `wake` hints to workers."""

    compute: ComputeDriver
    agents: AmphoraDriver
    wake: Wake


class Options(Struct, frozen=True, kw_only=True):
    """`key`: what heartbeats are signed with; `probes`: agents asked at once over the second path."""

    listen: Listen
    key: str
    limits: Limits
    probes: int = 10


class HealthManager:
    """Wires the three threads."""

    def __init__(
        self, database: Database, far: FarSides, clock: Clock, options: Options, registry: CollectorRegistry
    ) -> None:
        half = options.limits.timeout * _HALF
        fleet, decoder, metrics = Fleet(gap=half), Decoder(options.key), Metrics(registry)
        self._receiver = Receiver(options.listen, decoder, fleet, clock, metrics.reception)
        probes = Probes(
            database,
            far.compute,
            far.agents,
            clock,
            threads=options.probes,
            shelf_life=half,
            # What waits in the receive queue was sent before.
            heard=lambda: min(fleet.anybody, self._receiver.arrived()),
        )
        self._watch = Watch(
            database,
            fleet,
            clock,
            probes,
            Registrar(database, clock, far.wake),
            metrics,
            options.limits,
            arrived=self._receiver.arrived,
            on_forget=decoder.forget,
        )
        self._writer = Writer(
            database,
            fleet,
            clock,
            self._watch.interrupted,
            metrics.writing,
            behind=self._receiver.behind,
            timeout=options.limits.timeout,
        )
        metrics.watch_queue(self._receiver.port, self._receiver.behind, lambda: fleet.pending)

    @property
    def port(self) -> int:
        """The UDP port where heartbeats are heard."""
        return self._receiver.port

    def run(self, stop: Event) -> None:
        """Run until stopped; what was heard is written before the end."""
        # What there is by now, all modules above all, stays: to look through it for garbage would stop all threads.
        gc.freeze()
        try:
            together(stop, self._writer.run, self._receiver.run, self._watch.run)
        finally:
            self._receiver.close()


def together(stop: Event, *works: Callable[[Event], None]) -> None:
    """Run all of these until stopped, each in a thread. When one breaks off all of them end, and its error is raised:
    a manager that goes on without one of its parts would be deaf, or blind, and nobody would start it again."""
    errors: list[BaseException] = []

    def run(work: Callable[[Event], None]) -> None:
        try:
            work(stop)
        except BaseException as error:
            errors.append(error)
            stop.set()

    threads = [Thread(target=run, args=(work,), name=f"health-{number}") for number, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
