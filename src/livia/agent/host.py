"""What all amphorae of one agent share."""

from functools import cached_property
from pathlib import Path

from livia.agent import tmpfs
from livia.agent.cgroup import Groups
from livia.agent.config import AgentConfig
from livia.agent.datagram.pace import Pace
from livia.agent.haproxy import program
from livia.agent.metrics import Metrics
from livia.agent.names import Names
from livia.agent.plumbing.fabric import Fabric
from livia.agent.probes.prober import Prober
from livia.agent.prometheus.proxy import PrometheusProxy
from livia.agent.seal import Seal
from livia.agent.supervise import Supervisor, require_programs


class Host:
    """The machine as one agent uses it."""

    def __init__(self, config: AgentConfig) -> None:
        self.config = config
        self.names = Names(config.state_directory, config.fabric_directory)
        self.fabric = Fabric(self.names)
        self.groups = Groups(self.names.prefix)
        self.supervisor = Supervisor(config.state_directory / "s6", self.groups)
        self.amphorae_directory = config.state_directory / "amphorae"
        self.machine = program.machine()
        self.metrics = Metrics()
        self.pace = Pace()
        self.prober = Prober(self.metrics.faults.inc)
        self.prometheus = PrometheusProxy(self.metrics)
        self.haproxy_version = ""

    @cached_property
    def seal(self) -> Seal:
        """What key material is sealed with on disk. Raises PlumbingError."""
        return Seal.open(self.config.state_directory / "seal.key")

    def memory(self) -> Path:
        """This agent's directory in memory, whether or not it is there yet. Raises PlumbingError."""
        return tmpfs.find(self.config.material_directory, self.config.state_directory) / self.names.prefix

    def open(self) -> None:
        """Make sure of programs, directories and the fabric; check members, answer scrapes. Raises PlumbingError."""
        require_programs()
        self.haproxy_version = program.version(self.config.haproxy)
        self.amphorae_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.fabric.open()
        self.prober.open()
        self.prometheus.open()

    def close(self) -> None:
        """Check members and answer scrapes no more."""
        self.prometheus.close()
        self.prober.close()
