"""The life of each controller process, from complete settings: what is left open there is an error here."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import FrameType

import structlog
from granian import Granian
from granian.constants import Interfaces
from prometheus_client import CollectorRegistry

from livia.api.arrival import Wsgi, in_turn, whole_bodies
from livia.core.clock import SystemClock
from livia.core.spec import Offer, TlsDefaults
from livia.core.wake import Wake
from livia.drivers.wake.datagram import DatagramListener, DatagramWake
from livia.health.fleet import Fleet
from livia.health.service import HealthManager, Receiver
from livia.health.watch import Watch
from livia.health.wire import Decoder
from livia.health.writer import Writer
from livia.house.service import House
from livia.ops import access, drivers
from livia.ops.settings import Settings
from livia.ops.supervisor import die_with_parent
from livia.services.context import Deps
from livia.store.engine import Database
from livia.worker.reconciler import Reconciler
from livia.worker.runner import Drivers
from livia.worker.service import Worker

log = structlog.get_logger()

#: requests that the API works on at once: SQLite has one writer, and Python one running thread; a few hide the disk's
#: latency
_API_AT_ONCE = 4
#: requests that may be on their way in besides: a thread waits for each body that is sent slowly, or never to its end
_API_ARRIVING = 256
#: seconds that requests have to end when the API is to: one that never arrives whole would wait for ever
_API_GRACE = 5


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
        return Database(options.connection, pool_size=options.max_pool_size, durable=durable)

    def application(self) -> Wsgi:
        """The API as a WSGI application. Raises SettingsError."""
        return whole_bodies(self._answering(), self._settings.api.max_request_body_size)

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

    def _answering(self) -> Wsgi:
        return access.application(self._settings, self.dependencies(DatagramWake(self._wake_path)))

    def run_api(self) -> None:
        """The life of the API's parent process; Granian forks the one that answers."""
        listen = self._settings.server
        server = Granian(
            "livia",
            address=listen.bind_host,
            port=listen.bind_port,
            interface=Interfaces.WSGI,
            blocking_threads=_API_AT_ONCE + _API_ARRIVING,
            log_enabled=False,
            # A worker that dies takes its parent along; whoever watches over it starts both.
            respawn_failed_workers=False,
            workers_kill_timeout=_API_GRACE,
        )
        server.serve(target_loader=self._load_api, wrap_loader=False)

    def _load_api(self) -> Wsgi:
        die_with_parent()
        return whole_bodies(in_turn(self._answering(), _API_AT_ONCE), self._settings.api.max_request_body_size)

    def run_worker(self) -> None:
        """The life of the worker's process. Raises SettingsError."""
        database = self.database()
        far_sides = Drivers(
            network=drivers.network(self._settings, database, self._clock),
            compute=drivers.compute(self._settings, database),
            amphorae=drivers.amphorae(self._settings),
            secrets=drivers.secrets(self._settings, database, self._clock),
            seal=drivers.seal(self._settings),
        )
        options, api = self._settings.livia, self._settings.api
        tls = TlsDefaults(
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

        def make(pool: ThreadPoolExecutor) -> Reconciler:
            return Reconciler(
                database,
                far_sides,
                self._clock,
                pool,
                advert_interval=options.advert_interval,
                deadline=options.deadline,
                tls=tls,
            )

        worker = Worker(
            database,
            make,
            self._wait_for_hint(),
            DatagramWake(self._wake_path),
            owner=self._owner,
            threads=options.reconcile_threads,
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        worker.run()

    def _wait_for_hint(self) -> Callable[[float], bool]:
        try:
            return DatagramListener(self._wake_path).wait
        except OSError as error:
            log.warning(
                "no wake-up hints: changes wait for the next poll", socket=str(self._wake_path), error=str(error)
            )
            return Event().wait

    def run_health(self) -> None:
        """The life of the health manager's process. Raises SettingsError."""
        options = self._settings.health
        # Heartbeats come again in a moment: their writes need not outlive the machine.
        database = self.database(durable=False)
        fleet = Fleet()
        watch = Watch(
            database,
            fleet,
            self._clock,
            drivers.compute(self._settings, database),
            drivers.amphorae(self._settings),
            DatagramWake(self._wake_path),
            timeout=options.heartbeat_timeout,
            interval=options.health_check_interval,
        )
        registry = CollectorRegistry()
        receiver = Receiver((options.bind_ip, options.bind_port), Decoder(options.heartbeat_key), fleet, registry)
        writer = Writer(database, fleet, self._clock, watch.interrupted)
        HealthManager(receiver, writer, watch).run(stopped_by_signal())

    def run_house(self) -> None:
        """The life of the housekeeper's process."""
        options = self._settings.house
        house = House(
            self.database(),
            self._clock,
            owner=f"{self._owner}:{os.getpid()}",
            interval=options.cleanup_interval,
            amphora_age=options.amphora_expiry_age,
            load_balancer_age=options.load_balancer_expiry_age,
        )
        house.run(stopped_by_signal())


def stopped_by_signal() -> Event:
    """An event that SIGTERM sets."""
    event = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGTERM, stop)
    return event
