"""Two amphora hosts on one machine, and what of a load balancer is on which."""

import signal
import subprocess
import sys

from sqlalchemy import select

from livia.agent.config import AgentConfig
from livia.agent.main import down
from livia.agent.names import Names
from livia.agent.plumbing import kernel
from livia.ops import drivers
from livia.ops.demo import faults
from livia.services import hosts as services
from livia.store import tables as t
from tests.ports import free_port
from tests.system.conftest import System
from tests.system.second_host import config_of
from tests.waiting import wait_for

SECOND = "host-2"


class SecondHost:
    """Another agent, as a process that may be killed."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.config: AgentConfig = config_of(system.livia.installation, SECOND, free_port())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        state = self._system.livia.installation.state.directory
        arguments = [str(state), str(self._system.directory / "octavia.conf"), SECOND, str(self.config.bind_port)]
        self._process = subprocess.Popen([sys.executable, "-m", "tests.system.second_host", *arguments])
        wait_for(lambda: SECOND in counts(self._system), 30, "the second host is registered")

    def kill(self) -> None:
        """The whole host goes, at once."""
        self.kill_agent()
        for amphora_id, host in homes(self._system).items():
            if host == SECOND:
                faults.destroy(self.config, amphora_id)

    def kill_agent(self) -> None:
        """Its amphorae go on."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self._end(signal.SIGTERM)
        down(self.config)


def homes(system: System) -> dict[str, str]:
    """Amphora id to host."""
    table = t.amphora.c
    with system.livia.installation.database().read() as connection:
        rows = connection.execute(select(table.id, table.compute_id).where(table.status != "DELETED"))
        return {row[0]: row[1] for row in rows}


def counts(system: System) -> set[str]:
    """The registered hosts."""
    with system.livia.installation.database().read() as connection:
        return set(connection.execute(select(t.amphora_host.c.id)).scalars())


def states(system: System) -> dict[str, str]:
    """What is the matter with each host."""
    installation = system.livia.installation
    found = services.view(installation.database(), drivers.host_silence(installation.complete_settings))
    return {each.host.id: each.state for each in found}


def has_vip(config: AgentConfig, amphora_id: str, vip: str) -> bool:
    """Whether the address is on an interface of an amphora of the host with this configuration."""

    def look() -> bool:
        with kernel.address_socket() as opened:
            return vip in kernel.addresses(opened)

    return kernel.inside(Names(config.state_directory).amphora(amphora_id), look)
