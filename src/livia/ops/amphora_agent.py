"""`amphora-agent`: the agent of an amphora host, run from a configuration file (contract 95, section 7).

`livia host add` writes that file, with the certificate and the authority that it names.
"""

import argparse
import re
import ssl
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from livia.agent.config import AgentConfig
from livia.agent.errors import PlumbingError
from livia.agent.main import down
from livia.agent.main import run as run_agent
from livia.ops import preflight, programs
from livia.ops.processes import stopped_by_signal
from livia.ops.settings import Settings, SettingsError

#: an address, or an IPv6 address in brackets, and a port (contract 90, [health_manager] controller_ip_port_list)
_CONTROLLER = re.compile(r"(?:\[(?P<long>[0-9a-fA-F:.]+)\]|(?P<short>[0-9.]+)):(?P<port>[0-9]{1,5})")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit status."""
    parser = programs.parser("amphora-agent", "Build and run the amphorae of this host.")
    parser.add_argument(
        "--remove",
        action="store_true",
        help="remove every namespace, bridge and process of this host instead, once its agent has ended",
    )
    return programs.run(parser, arguments, _amphora_agent, database=False)


def config_of(settings: Settings) -> AgentConfig:
    """What the agent has to be told. Raises SettingsError, which names the option that is not right."""
    agent, health, livia = settings.agent, settings.health, settings.livia
    if not livia.host_name:
        raise SettingsError("[livia] host_name is not set: 'livia host add NAME' writes a file that has it.")
    if not health.heartbeat_key:
        raise SettingsError("[health_manager] heartbeat_key is not set: the health manager hears only who has its key.")
    if not health.controller_ip_port_list:
        raise SettingsError("[health_manager] controller_ip_port_list is not set: heartbeats go there.")
    return AgentConfig(
        state_directory=agent.base_path,
        fabric_directory=Path(livia.bridges_of) if livia.bridges_of else None,
        name=livia.host_name,
        address=_address(livia.host_address),
        bind_host=agent.bind_host,
        bind_port=agent.bind_port,
        certificate=_readable(settings.amphora_agent.agent_server_cert, "agent_server_cert"),
        client_ca=_readable(settings.amphora_agent.agent_server_ca, "agent_server_ca"),
        controllers=tuple(map(controller, health.controller_ip_port_list)),
        heartbeat_key=health.heartbeat_key,
        heartbeat_interval=health.heartbeat_interval,
        availability_zone=livia.host_zone or None,
        capacity=livia.host_capacity,
        haproxy=agent.haproxy_cmd,
    )


def controller(text: str) -> tuple[str, int]:
    """Address and port of a health manager. Raises SettingsError."""
    found = _CONTROLLER.fullmatch(text)
    try:
        if found is not None and 0 < int(found["port"]) < 65536:
            return str(ip_address(found["long"] or found["short"])), int(found["port"])
    except ValueError:
        pass
    raise SettingsError(
        f"[health_manager] controller_ip_port_list = {text!r}: each is an IP address and a port, such as "
        "192.0.2.1:5555 or [2001:db8::1]:5555."
    )


def _amphora_agent(settings: Settings, options: argparse.Namespace) -> None:
    config = config_of(settings)
    if options.remove:
        programs.require([*preflight.not_root(), *preflight.taken_agent_port(config.bind_host, config.bind_port)])
        down(config)
        return
    programs.require(preflight.agent_problems(settings))
    programs.end_on_interrupt()
    try:
        run_agent(config, stop=stopped_by_signal())
    except PlumbingError as error:
        raise programs.CannotRunError(error.message) from error
    except ssl.SSLError as error:
        files = f"{config.certificate}, {config.client_ca}"
        raise programs.CannotRunError(f"[amphora_agent] {files}: they cannot be used: {error}.") from error


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise SettingsError(
            f"[livia] host_address = {text!r}: it is the IP address at which controllers reach this host."
        ) from None


def _readable(path: Path, option: str) -> Path:
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingsError(f"[amphora_agent] {option} = {path}: it cannot be read: {error.strerror}.") from error
    return path


if __name__ == "__main__":
    sys.exit(main())
