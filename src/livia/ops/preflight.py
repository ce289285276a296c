"""What must be so before anything starts; each problem is one sentence that says what to do."""

import errno
import os
import shutil
import socket

from livia.ops import access, activation, drivers
from livia.ops.settings import Settings

#: program to the Debian package that has it
_PROGRAMS = {
    "haproxy": "haproxy",
    "keepalived": "keepalived",
    "ip": "iproute2",
    "nft": "nftables",
    "s6-svscan": "s6",
}


def problems(settings: Settings) -> list[str]:
    """Why `livia up` cannot start now with complete settings; empty when it can."""
    found = [
        *missing_programs(_search_path()),
        *access.problems(settings),
        *access.open_without_authentication(settings),
        *drivers.problems(settings),
    ]
    agent = taken_agent_port("127.0.0.1", settings.agent.bind_port)
    return [*found, *taken_api_port(settings), *agent, *taken_heartbeat_port(settings)]


def agent_problems(settings: Settings) -> list[str]:
    """Why an `amphora-agent` cannot start now; empty when it can."""
    listen = settings.agent
    return [
        *not_root(),
        *missing_programs(_search_path()),
        *taken_agent_port(listen.bind_host, listen.bind_port),
    ]


def taken_api_port(settings: Settings) -> list[str]:
    """One sentence when the API cannot listen where it should."""
    api = settings.server
    if activation.passed():
        return activation.problems(api.bind_host, api.bind_port)
    return _taken("API", socket.SOCK_STREAM, api.bind_host, api.bind_port, "[api_settings] bind_host")


def taken_heartbeat_port(settings: Settings) -> list[str]:
    """One sentence when the health manager cannot listen where it should."""
    health = settings.health
    return _taken("health manager", socket.SOCK_DGRAM, health.bind_ip, health.bind_port, "[health_manager] bind_ip")


def taken_agent_port(host: str, port: int) -> list[str]:
    """One sentence when an agent cannot listen where it should."""
    return _taken("agent", socket.SOCK_STREAM, host, port, "[haproxy_amphora] bind_host")


def not_root() -> list[str]:
    """One sentence to who is not: of the state directory, too, another could read nothing."""
    if os.geteuid() == 0:
        return []
    return ["Livia makes network namespaces, and so must be run by root: run the same command with sudo."]


def missing_programs(path: str) -> list[str]:
    """One sentence about the programs that are not on `path`, with what installs them."""
    missing = {name: package for name, package in _PROGRAMS.items() if shutil.which(name, path=path) is None}
    if not missing:
        return []
    names, packages = ", ".join(missing), " ".join(dict.fromkeys(missing.values()))
    return [f"Not installed: {names}. Run: apt-get install {packages}"]


def _search_path() -> str:
    # The programs of administrators are not on every user's path.
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def _taken(what: str, kind: socket.SocketKind, host: str, port: int, option: str) -> list[str]:
    """`option`: section and name of that which has the address; the port's is beside it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind is socket.SOCK_STREAM else 0)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = f"set {option} to an address of this machine"
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                remedy = f"free it, or set {option.partition(' ')[0]} bind_port"
            return [f"The {what} cannot listen on {host} port {port} ({error.strerror}): {remedy}."]
    return []
