"""An agent as far as its certificate goes: its real HTTPS server and resources, with no amphora behind them."""

from pathlib import Path
from threading import Thread

from livia.agent.config import AgentConfig
from livia.agent.credentials import AgentCredentials
from livia.agent.host import Host
from livia.agent.https import HttpsServer
from livia.agent.registry import Registry
from livia.agent.server import LARGEST_BODY, application
from livia.core.drivers import Placement
from livia.core.report import HostFacts
from livia.store import hosts
from livia.store.engine import Database


class Agent:
    """Serves until `close`. It has its own copy of the authorities, as on another machine."""

    def __init__(self, directory: Path, name: str, certificate: bytes, client_ca: bytes) -> None:
        directory.mkdir()
        self.name = name
        self.certificate, self.client_ca = directory / "agent.pem", directory / "controllers.pem"
        self.certificate.write_bytes(certificate)
        self.client_ca.write_bytes(client_ca)
        config = AgentConfig(
            state_directory=directory / "state",
            name=name,
            certificate=self.certificate,
            client_ca=self.client_ca,
            heartbeat_key="key",
        )
        host = Host(config)
        registry = Registry(host, on_change=lambda _id: None, on_removal=lambda _amphora: None)
        self.credentials = AgentCredentials(config.certificate, config.client_ca, name)
        self._server = HttpsServer(
            ("127.0.0.1", 0),
            self.credentials.context,
            application(host, registry, self.credentials),
            largest_body=LARGEST_BODY,
        )
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def placement(self) -> Placement:
        port: int = self._server.server_address[1]
        return Placement(compute_id=self.name, address="127.0.0.1", agent_port=port, agent_name=self.name)

    def register(self, database: Database) -> None:
        """What its heartbeat does."""
        facts = HostFacts(address="127.0.0.1", agent_port=self.placement.agent_port, capacity=10, amphorae=0)
        database.transaction(lambda connection: hosts.seen(connection, self.name, facts))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
