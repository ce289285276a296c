"""Hosts, a controller and the authorities of both, in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from livia.drivers.amphora.agent import Agents, AgentTls
from livia.house.certificates import Certificates, Pki, Validity
from livia.pki.rollover import Rollover
from tests import database as rows
from tests.house.agents import Agent
from tests.house.turns import HandClock, done

DAY = 86400.0
HOUR = 3600.0
LIFE, BUFFER = timedelta(days=30), timedelta(days=14)


class Site:
    """Two hosts, one controller, and a clock that stands three weeks ago: what is signed by it holds today as well."""

    def __init__(self, directory: Path) -> None:
        self.clock = HandClock(datetime.now(UTC).replace(tzinfo=None) - timedelta(days=21))
        self.database = rows.fresh(directory)
        self.agents_ca = Rollover(directory / "pki" / "agents", "agents", self.clock)
        self.controllers_ca = Rollover(directory / "pki" / "controllers", "controllers", self.clock)
        self.controller = directory / "controller.pem"
        self.controller.write_bytes(self.controllers_ca.open().issue("controller", life=LIFE))
        self.tls = AgentTls(certificate=self.controller, server_ca=self.agents_ca.trust_path)
        self.hosts = [self.host(directory / name, name) for name in ("host-1", "host-2")]
        self.registry = CollectorRegistry()
        #: the worker's: it lives through everything
        self.driver = Agents(self.tls, connect_timeout=10.0, read_timeout=30.0)

    def host(self, directory: Path, name: str) -> Agent:
        certificate = self.agents_ca.open().issue(name, life=LIFE)
        agent = Agent(directory, name, certificate, self.controllers_ca.trust_path.read_bytes())
        agent.register(self.database)
        return agent

    def work(self, *, authority_buffer: float = 180.0) -> str:
        """One turn of the house; its sentence. `authority_buffer` in days."""
        pki = Pki(
            agents=self.agents_ca,
            controllers=self.controllers_ca,
            controller=self.controller,
            controller_name="controller",
        )
        validity = Validity(
            life=LIFE, buffer=BUFFER, authority_buffer=timedelta(days=authority_buffer), overlap=timedelta(hours=1)
        )
        agents = Agents(self.tls, connect_timeout=10.0, read_timeout=30.0)
        job = Certificates(self.database, self.clock, agents, pki, validity, CollectorRegistry(), interval=0.0)
        sentence = done(self.database, job).reason
        self.talk()
        return sentence

    def talk(self) -> None:
        """Whoever was there before, and whoever comes now, reaches every agent that serves."""
        for driver in (self.driver, Agents(self.tls, connect_timeout=10.0, read_timeout=30.0)):
            for host in self.hosts:
                assert driver.observe(host.placement, "nobody") is None

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        self.database.close()
