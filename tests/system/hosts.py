"""Two amphora hosts on one machine, and what of a load balancer is on which."""

import signal
import subprocess
import sys

from sqlalchemy import select

from livia.agent.config import AgentConfig
from livia.agent.names import Names
from livia.agent.plumbing import kernel
from livia.ops import amphora_agent, drivers, host_files
from livia.ops.demo import faults
from livia.ops.octavia_conf import load
from livia.ops.settings import CONTRACT
from livia.services import hosts as services
from livia.store import tables as t
from tests.ports import free_port
from tests.system.conftest import System
from tests.waiting import wait_for

SECOND = "host-2"


class SecondHost:
    """Another amphora host, on the bridges of the first: `livia host add` wrote its files, and its `amphora-agent` is a
    process that may be killed."""

    def __init__(self, system: System) -> None:
        self._system = system
        installation = system.livia.installation
        state, directory = installation.state, system.directory / SECOND
        conf = directory / host_files.FILE
        subprocess.run(
            [
                *(sys.executable, "-m", "livia.ops.cli", "--state-directory", str(state.directory)),
                *("--config-file", str(system.directory / "octavia.conf")),
                *("host", "add", SECOND, "--address", "127.0.0.1", "--port", str(free_port()), "--to", str(directory)),
                *("--base-path", str(directory / "data"), "--bridges-of", str(state.agent_directory)),
            ],
            check=True,
            timeout=60,
        )
        self._command = [sys.executable, "-m", "livia.ops.amphora_agent", "--config-file", str(conf)]
        self.config: AgentConfig = amphora_agent.config_of(load([conf], CONTRACT)[0])
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
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
        subprocess.run([*self._command, "--remove"], check=True, timeout=60)


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
