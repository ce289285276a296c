"""One installation: a state directory, its settings, and the services that run on them."""

import socket
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from livia.agent.config import AgentConfig
from livia.agent.main import run as run_agent
from livia.core.clock import SystemClock
from livia.core.drivers import AmphoraDriver, ComputeDriver
from livia.ops import drivers
from livia.ops.processes import Processes, stopped_by_signal
from livia.ops.programs import database_of
from livia.ops.readiness import Readiness
from livia.ops.settings import Settings
from livia.ops.state import State
from livia.ops.supervisor import Service
from livia.store.engine import Database

#: what every `livia up` starts, in this order
SERVICES = ("agent", "health", "worker", "api", "house")


class Installation:
    """One state directory and its settings."""

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

    @property
    def user_file(self) -> Path:
        """The users of `auth_strategy = http_basic`."""
        return Path(self.settings.access.http_basic_user_file or self.state.directory / "users")

    @property
    def complete_settings(self) -> Settings:
        """The settings, with what the state directory has: it must be prepared."""
        settings, state = self.settings, self.state
        return replace(
            settings,
            access=replace(settings.access, http_basic_user_file=str(self.user_file)),
            database=replace(settings.database, connection=self.database_url),
            health=replace(settings.health, heartbeat_key=self.heartbeat_key),
            agent=replace(settings.agent, client_cert=state.controller_certificate, server_ca=state.agents_ca),
            certificates=replace(
                settings.certificates, vault_key=state.vault_key, pki_directory=str(state.pki_directory)
            ),
            livia=replace(settings.livia, wake_socket=str(state.wake_path)),
        )

    def database(self) -> Database:
        """A database of this process's own. Raises SettingsError for a URL that is none."""
        options = replace(self.settings.database, connection=self.database_url)
        return database_of(replace(self.settings, database=options))

    def agents(self) -> AmphoraDriver:
        """The way to every agent."""
        return drivers.amphorae(self.complete_settings)

    def hosts(self, database: Database) -> ComputeDriver:
        """The amphora hosts."""
        return drivers.compute(self.complete_settings, database)

    def services(self, api: socket.socket) -> list[Service]:
        """All services, in the order they start. `api`: where the API listens."""
        settings, host = self.complete_settings, self.state.host_name
        worker, house = Processes(settings, f"worker@{host}"), Processes(settings, f"house@{host}")
        return [
            Service(name="agent", run=self.run_agent),
            Service(name="health", run=worker.run_health),
            Service(name="worker", run=worker.run_worker),
            api_service(worker, api),
            Service(name="house", run=house.run_house),
            *([Service(name="canary", run=self.run_canary)] if settings.livia.canary_interval > 0 else []),
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

    def run_canary(self) -> None:
        """The life of the canaries' process."""
        from livia.ops.canary import service  # who sends none needs none of it

        service.stay(self, self.settings.livia.canary_interval, stopped_by_signal(), lambda _line: None)

    def run_agent(self) -> None:
        """The life of the agent's process."""
        run_agent(self.agent_config(), stop=stopped_by_signal())


def api_service(processes: Processes, listening: socket.socket) -> Service:
    """The API, and who answers in its place while it cannot start."""
    readiness = Readiness()
    return Service(
        name="api",
        run=partial(processes.run_api, listening, readiness),
        listening=listening,
        readiness=readiness,
        stand_in=Service(
            name="stand-in", run=partial(processes.run_stand_in, listening, readiness), listening=listening
        ),
    )
