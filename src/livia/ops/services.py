"""Wires the services of one installation: the only place that knows which driver stands behind a protocol."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import FrameType
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from prometheus_client import CollectorRegistry

from livia.agent.config import AgentConfig
from livia.agent.main import run as run_agent
from livia.api.app import create
from livia.core.clock import SystemClock
from livia.drivers.amphora.agent import Agents, AgentTls
from livia.drivers.compute.host import Hosts
from livia.drivers.network.local import LocalNetworks
from livia.drivers.wake.datagram import DatagramListener, DatagramWake
from livia.health.fleet import Fleet
from livia.health.service import HealthManager, Receiver
from livia.health.watch import Watch
from livia.health.wire import Decoder
from livia.health.writer import Writer
from livia.house.service import House
from livia.ops.settings import Settings
from livia.ops.state import State
from livia.ops.supervisor import Service, die_with_parent
from livia.services.context import Deps
from livia.store.engine import Database
from livia.worker.reconciler import Reconciler
from livia.worker.runner import Drivers
from livia.worker.service import Worker

#: API threads: SQLite has one writer, and Python one running thread; a few hide the disk's latency
_API_THREADS = 4
#: a host not heard of for so many heartbeats, or seconds, gets no further amphora
_SILENT_BEATS = 3
_SILENT_SECONDS = 15.0


class Installation:
    """One state directory and its settings, and the services that run on them."""

    def __init__(self, state: State, settings: Settings) -> None:
        self.state = state
        self.settings = settings
        self.clock = SystemClock()

    @property
    def database_url(self) -> str:
        return self.settings.database.connection or self.state.database_url

    @property
    def heartbeat_key(self) -> str:
        return self.settings.health.heartbeat_key or self.state.heartbeat_key

    def database(self, *, durable: bool = True) -> Database:
        """A database of this process's own."""
        return Database(self.database_url, pool_size=self.settings.database.max_pool_size, durable=durable)

    def services(self) -> list[Service]:
        """All services, in the order they start."""
        return [
            Service(name="agent", run=self.run_agent),
            Service(name="health", run=self.run_health),
            Service(name="worker", run=self.run_worker),
            Service(name="api", run=self.run_api),
            Service(name="house", run=self.run_house),
        ]

    def agent_config(self) -> AgentConfig:
        """What the embedded amphora host's agent has to be told."""
        health = self.settings.health
        return AgentConfig(
            state_directory=self.state.agent_directory,
            name=self.state.host_name,
            bind_port=self.settings.agent.bind_port,
            certificate=self.state.agent_certificate,
            client_ca=self.state.controllers_ca,
            controllers=((health.bind_ip, health.bind_port),),
            heartbeat_key=self.heartbeat_key,
            heartbeat_interval=health.heartbeat_interval,
            capacity=self.settings.livia.host_capacity,
        )

    def agents(self) -> Agents:
        """The way to every agent."""
        timeouts = self.settings.agent
        return Agents(
            AgentTls(certificate=self.state.controller_certificate, server_ca=self.state.agents_ca),
            connect_timeout=timeouts.rest_request_conn_timeout,
            read_timeout=timeouts.rest_request_read_timeout,
        )

    def hosts(self, database: Database) -> Hosts:
        """The amphora hosts."""
        beat = self.settings.health.heartbeat_interval
        return Hosts(database, silence=max(_SILENT_SECONDS, _SILENT_BEATS * beat))

    def run_agent(self) -> None:
        """The life of the agent's process."""
        run_agent(self.agent_config(), stop=_stopped_by_signal())

    def run_api(self) -> None:
        """The life of the API's parent process; Granian forks the one that answers."""
        listen = self.settings.server
        server = Granian(
            "livia",
            address=listen.bind_host,
            port=listen.bind_port,
            interface=Interfaces.WSGI,
            blocking_threads=_API_THREADS,
            log_enabled=False,
            # A worker that dies takes its parent along; the supervisor starts both.
            respawn_failed_workers=False,
        )
        server.serve(target_loader=self._load_api, wrap_loader=False)

    def _load_api(self) -> Callable[..., Any]:
        die_with_parent()
        database = self.database()
        return create(
            Deps(
                database=database,
                network=LocalNetworks(database, self.clock),
                wake=DatagramWake(self.state.wake_path),
                clock=self.clock,
                settings=self.settings.api,
            )
        )

    def run_worker(self) -> None:
        """The life of the worker's process."""
        database = self.database()
        listener = DatagramListener(self.state.wake_path)
        drivers = Drivers(
            network=LocalNetworks(database, self.clock), compute=self.hosts(database), amphorae=self.agents()
        )
        options = self.settings.livia

        def make(pool: ThreadPoolExecutor) -> Reconciler:
            return Reconciler(
                database,
                drivers,
                self.clock,
                pool,
                advert_interval=options.advert_interval,
                deadline=options.deadline,
            )

        worker = Worker(
            database,
            make,
            listener.wait,
            DatagramWake(self.state.wake_path),
            # The state directory is locked by one supervisor, and it runs one worker: a lease of this name whose
            # holder is not this process belongs to a dead one.
            owner=f"worker@{self.state.host_name}",
            threads=options.reconcile_threads,
        )

        def stop(_number: int, _frame: FrameType | None) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        worker.run()

    def run_health(self) -> None:
        """The life of the health manager's process."""
        options = self.settings.health
        # Heartbeats come again in a moment: their writes need not outlive the machine.
        database = self.database(durable=False)
        fleet = Fleet()
        watch = Watch(
            database,
            fleet,
            self.clock,
            self.hosts(database),
            self.agents(),
            DatagramWake(self.state.wake_path),
            timeout=options.heartbeat_timeout,
            interval=options.health_check_interval,
        )
        registry = CollectorRegistry()
        receiver = Receiver((options.bind_ip, options.bind_port), Decoder(self.heartbeat_key), fleet, registry)
        writer = Writer(database, fleet, self.clock, watch.interrupted)
        HealthManager(receiver, writer, watch).run(_stopped_by_signal())

    def run_house(self) -> None:
        """The life of the housekeeper's process."""
        options = self.settings.house
        house = House(
            self.database(),
            self.clock,
            owner=f"house@{self.state.host_name}:{os.getpid()}",
            interval=options.cleanup_interval,
            amphora_age=options.amphora_expiry_age,
            load_balancer_age=options.load_balancer_expiry_age,
        )
        house.run(_stopped_by_signal())


def _stopped_by_signal() -> Event:
    """An event that SIGTERM sets."""
    event = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGTERM, stop)
    return event
