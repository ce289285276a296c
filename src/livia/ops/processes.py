"""The life of each controller process, from complete settings: what is left open there is an error here."""

import os
import secrets
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import FrameType

import structlog
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter

from livia.api.arrival import Wsgi, in_turn, unavailable, whole_bodies
from livia.core.clock import SystemClock
from livia.core.spec import Offer, TlsDefaults
from livia.core.wake import NoWake, Wake
from livia.drivers.wake.datagram import DatagramListener, DatagramWake
from livia.health.receiver import Listen
from livia.health.service import FarSides, HealthManager, Options
from livia.health.watch import Limits
from livia.house.runner import Runner
from livia.ops import access, drivers, housekeeping, metrics
from livia.ops.readiness import Readiness
from livia.ops.serving import ApiServer, Serving
from livia.ops.settings import Settings, SettingsError
from livia.ops.supervisor import die_with_parent
from livia.services.context import Deps
from livia.services.settings import ApiSettings
from livia.store.engine import Database
from livia.worker.attempt import Executors
from livia.worker.metrics import Metrics
from livia.worker.queue import Queue
from livia.worker.reconciler import Reconciler
from livia.worker.seat import Seat
from livia.worker.service import LEASE_SECONDS, Worker

log = structlog.get_logger()

#: requests that the API works on at once: SQLite has one writer, and Python one running thread; a few hide the disk's
#: latency
_API_AT_ONCE = 4
#: requests that may be on their way in besides: a thread waits for each body that is sent slowly, or never to its end
_API_ARRIVING = 256
#: seconds that a database server may take for an answer: longer than it waits for a lock
_DATABASE_SECONDS = 60


class Processes:
    """What runs on one database. `owner` names this process among the holders of leases."""

    def __init__(self, settings: Settings, owner: str) -> None:
        self._settings = settings
        self._owner = owner
        self._clock = SystemClock()
        self._wake_path = Path(settings.livia.wake_socket)

    def database(self, *, durable: bool = True) -> Database:
        """A database of this process's own."""
        options = self._settings.database
        return Database(
            options.connection, pool_size=options.max_pool_size, durable=durable, patience=_DATABASE_SECONDS
        )

    def application(self) -> Wsgi:
        """The API as a WSGI application. Raises SettingsError."""
        return whole_bodies(self._answering()[0], self._settings.api.max_request_body_size)

    def dependencies(self, wake: Wake) -> Deps:
        """What use cases work with. Raises SettingsError."""
        database = self.database()
        return Deps(
            database=database,
            network=drivers.network(self._settings, database, self._clock),
            secrets=drivers.secrets(self._settings, database, self._clock),
            seal=drivers.seal(self._settings),
            wake=wake,
            clock=self._clock,
            settings=self._settings.api,
            limits=drivers.limits(self._settings),
        )

    def _answering(self) -> tuple[Wsgi, CollectorRegistry]:
        """The application, and where it counts."""
        deps = self.dependencies(NoWake())
        registry = metrics.registry_of(deps.database)
        deps = replace(deps, wake=self._hints(registry))
        return access.application(self._settings, deps, registry), registry

    def _hints(self, registry: CollectorRegistry) -> DatagramWake:
        lost = Counter(
            "livia_wake_hints_lost",
            "Hints that no worker of this machine took: what they were about waits for the next poll.",
            registry=registry,
        )
        return DatagramWake(self._wake_path, lost.inc)

    def run_api(self, listening: socket.socket, readiness: Readiness | None = None) -> None:
        """The life of the API's parent process on a socket that takes connections; it forks the one that answers."""
        load = partial(self._load_api, readiness or Readiness())
        ApiServer(listening, Serving(threads=_API_AT_ONCE + _API_ARRIVING, load=load)).run()

    def _load_api(self, readiness: Readiness) -> Wsgi:
        die_with_parent()
        with readiness.starting(public_reason):
            application, registry = self._answering()
            metrics.publish("api", registry, self._settings.livia)
        return whole_bodies(in_turn(application, _API_AT_ONCE), self._settings.api.max_request_body_size)

    def run_stand_in(self, listening: socket.socket, readiness: Readiness) -> None:
        """The life of who answers 503, with the reason, while the API cannot start."""

        def load() -> Wsgi:
            die_with_parent()
            return whole_bodies(unavailable(lambda: readiness.reason), self._settings.api.max_request_body_size)

        ApiServer(listening, Serving(threads=_API_AT_ONCE + _API_ARRIVING, load=load)).run()

    def run_worker(self) -> None:
        """The life of the worker's process. Raises SettingsError."""
        database = self.database()
        far_sides = drivers.far_sides(self._settings, database, self._clock)
        options = self._settings.livia
        registry = metrics.registry_of(database)
        counted = Metrics(registry)
        Queue(database, self._clock, registry)

        def make(executors: Executors) -> Reconciler:
            return Reconciler(
                database,
                far_sides,
                self._clock,
                executors,
                advert_interval=options.advert_interval,
                stick_size=self._settings.agent.haproxy_stick_size,
                deadline=options.deadline,
                tls=_tls_defaults(self._settings.api),
                metrics=counted,
            )

        seat = self._seat()
        worker = Worker(
            # What is forgotten of leases and work when the machine dies is done once more.
            self.database(durable=False),
            make,
            self._wait_for_hint(),
            DatagramWake(self._wake_path),
            owner=f"{self._owner}:{secrets.token_hex(8)}" if seat is None else seat.owner,
            deserted=tuple if seat is None else seat.deserted,
            threads=options.reconcile_threads,
            deadline=options.deadline,
            metrics=counted,
        )
        metrics.publish("worker", registry, options)

        _at_sigterm(worker.stop)
        worker.run()

    def _seat(self) -> Seat | None:
        try:
            return Seat(self._wake_path, self._settings.common.host or socket.gethostname())
        except OSError as error:
            log.warning(
                "what this worker holds when it is killed stays its own until the leases end",
                directory=str(self._wake_path),
                seconds=LEASE_SECONDS,
                error=str(error),
            )
            return None

    def _wait_for_hint(self) -> Callable[[float], bool]:
        try:
            return DatagramListener(self._wake_path).wait
        except OSError as error:
            log.warning(
                "no wake-up hints: changes wait for the next poll", directory=str(self._wake_path), error=str(error)
            )
            return Event().wait

    def run_health(self) -> None:
        """The life of the health manager's process. Raises SettingsError."""
        options = self._settings.health
        # Heartbeats come again in a moment: their writes need not outlive the machine.
        database = self.database(durable=False)
        registry = metrics.registry_of(database)
        far = FarSides(
            compute=drivers.compute(self._settings, database),
            agents=drivers.amphorae(_impatient(self._settings)),
            wake=self._hints(registry),
        )
        manager = HealthManager(
            database,
            far,
            self._clock,
            Options(
                listen=Listen(address=options.bind_ip, port=options.bind_port, buffer=options.sock_rlimit),
                key=options.heartbeat_key,
                limits=Limits(
                    timeout=options.heartbeat_timeout,
                    interval=options.health_check_interval,
                    threshold=options.failover_threshold,
                ),
                probes=options.failover_threads,
            ),
            registry,
        )
        metrics.publish("health", registry, self._settings.livia)
        manager.run(stopped_by_signal())

    def run_house(self) -> None:
        """The life of the housekeeper's process."""
        database, owner = self.database(), f"{self._owner}:{os.getpid()}"
        registry = metrics.registry_of(database)
        metrics.publish("house", registry, self._settings.livia)
        jobs = housekeeping.jobs(self._settings, database, self._clock, DatagramWake(self._wake_path), registry)
        Runner(database, self._clock, jobs, owner=owner, registry=registry).run(stopped_by_signal())


def public_reason(error: Exception) -> str | None:
    """What anybody may read of an error at the start: settings are written by people, who may have erred anywhere."""
    return error.public if isinstance(error, SettingsError) else None


def _impatient(settings: Settings) -> Settings:
    """An agent that is silent already is asked whether it lives: it gets a part of the timeout to answer."""
    agent, patience = settings.agent, settings.health.heartbeat_timeout / 4
    quick = replace(
        agent,
        rest_request_conn_timeout=min(agent.rest_request_conn_timeout, patience),
        rest_request_read_timeout=min(agent.rest_request_read_timeout, patience),
    )
    return replace(settings, agent=quick)


def stopped_by_signal() -> Event:
    """An event that SIGTERM sets."""
    event = Event()
    _at_sigterm(event.set)
    return event


def _at_sigterm(stop: Callable[[], None]) -> None:
    """Call `stop`, whichever thread the kernel gives SIGTERM to: of a process that was stopped meanwhile, any.

    A handler of Python's runs in the main thread, and one that sleeps there without end would never run it.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGTERM, _survive)
    # Written to in the thread that got the signal.
    signal.set_wakeup_fd(writer)

    def wait() -> None:
        os.read(reader, 1)
        stop()

    Thread(target=wait, name="stop", daemon=True).start()


def _survive(_number: int, _frame: FrameType | None) -> None:
    """A signal that has a handler does not end the process."""


def _tls_defaults(api: ApiSettings) -> TlsDefaults:
    """What the data plane offers where a listener or pool says nothing itself."""
    return TlsDefaults(
        listener=Offer(
            ciphers=api.default_listener_ciphers,
            versions=api.default_listener_tls_versions,
            alpn=api.default_listener_alpn_protocols,
        ),
        pool=Offer(
            ciphers=api.default_pool_ciphers,
            versions=api.default_pool_tls_versions,
            alpn=api.default_pool_alpn_protocols,
        ),
    )
