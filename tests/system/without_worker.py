"""`python -m tests.system.without_worker STATE CONFIG`: a Livia whose worker is left to the test."""

import sys
from pathlib import Path

from livia.ops.octavia_conf import load
from livia.ops.services import Installation
from livia.ops.serving import listen
from livia.ops.state import State
from livia.ops.supervisor import Supervisor
from livia.store import schema


def main(state: str, config: str) -> None:
    """Run all services but the worker until SIGTERM."""
    settings, _warnings = load([Path(config)])
    installation = Installation(State(Path(state)), settings)
    installation.state.prepare()
    database = installation.database()
    schema.upgrade(database)
    database.close()
    api = installation.settings.server
    with listen(api.bind_host, api.bind_port) as listening:
        services = [service for service in installation.services(listening) if service.name != "worker"]
        supervisor = Supervisor(services, installation.state.log_directory)
        supervisor.start()
        supervisor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
