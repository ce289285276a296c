"""`python -m tests.system.second_host STATE CONFIG NAME PORT`: another amphora host on this machine, on the bridges of
the first."""

import sys
from pathlib import Path

from msgspec.structs import replace

from livia.agent.config import AgentConfig
from livia.agent.main import run
from livia.ops.processes import stopped_by_signal
from livia.ops.services import Installation
from livia.ops.settings import load
from livia.ops.state import State
from livia.pki.authority import Authority, write_private


def config_of(installation: Installation, name: str, port: int) -> AgentConfig:
    """What the agent of host `name` has to be told: as an operator would write it, with a certificate of its own."""
    first = installation.agent_config()
    directory = installation.state.directory / name
    return replace(
        first,
        state_directory=directory,
        fabric_directory=first.state_directory,
        name=name,
        bind_port=port,
        certificate=directory / "agent.pem",
    )


def main(state: str, config: str, name: str, port: str) -> None:
    """Run until SIGTERM."""
    settings, _warnings = load([Path(config)])
    installation = Installation(State(Path(state)), settings)
    wanted = config_of(installation, name, int(port))
    wanted.state_directory.mkdir(exist_ok=True, mode=0o700)
    agents = Authority.open(installation.state.agents_ca.parent, "Livia agents")
    write_private(wanted.certificate, agents.issue(name))
    run(wanted, stop=stopped_by_signal())


if __name__ == "__main__":
    main(*sys.argv[1:])
