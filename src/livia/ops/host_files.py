"""What a further amphora host needs: a configuration file for `amphora-agent`, a certificate, and the authority of
controllers' certificates."""

import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from livia.ops import amphora_agent, housekeeping
from livia.ops.services import Installation
from livia.ops.state import agents_authority, controllers_authority
from livia.pki.authority import write_private
from livia.services.hosts import HostError

#: rows of hosts have 36 characters for it, and certificates have it as a DNS name (RFC 1123, section 2.1)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,34}[A-Za-z0-9])?")
FILE = "amphora-agent.conf"

_CONF = """\
[haproxy_amphora]
base_path = {base_path}
bind_host = {address}
bind_port = {port}

[amphora_agent]
agent_server_cert = {directory}/server.pem
agent_server_ca = {directory}/client_ca.pem

[health_manager]
controller_ip_port_list = {controllers}
heartbeat_interval = {interval:g}
heartbeat_key = {key}

[livia]
host_name = {name}
host_address = {address}
host_zone = {zone}
host_capacity = {capacity}
bridges_of = {bridges_of}
"""


class Wanted(Struct, frozen=True, kw_only=True):
    """The host: `address` and `port` are where controllers reach its agent; `controllers`: health managers as the
    host reaches them, `IP:port`; `base_path`: what the agent keeps its amphorae in."""

    name: str
    address: str
    port: int
    zone: str = ""
    capacity: int
    controllers: tuple[str, ...] = ()
    base_path: Path
    bridges_of: str = ""


def write(installation: Installation, wanted: Wanted, directory: Path) -> Path:
    """Write the files of a host; the configuration file. A host of this name that there is already keeps its place and
    gets files anew. Raises HostError, SettingsError, AuthorityError, OSError."""
    if not _NAME.fullmatch(wanted.name):
        raise HostError(f"{wanted.name!r} is no name of a host: 36 letters, digits, dots and hyphens at most.")
    if not 0 < wanted.port < 65536 or wanted.capacity < 0:
        raise HostError("--port is 1 to 65535, and --capacity 0 or more.")
    if not all(each.isprintable() for each in (wanted.zone, str(wanted.base_path), wanted.bridges_of, str(directory))):
        raise HostError("Zones and directories are of one line: they are written into a configuration file.")
    pki = _authorities(installation)
    conf = _conf(installation, wanted, directory.absolute())
    agents = agents_authority(pki, installation.clock, housekeeping.supplied(installation.settings)).open()
    life = timedelta(seconds=installation.settings.certificates.cert_validity_time)
    controllers = controllers_authority(pki, installation.clock)
    controllers.open()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(directory / "client_ca.pem", controllers.trust_path.read_bytes())
    write_private(directory / "server.pem", agents.issue(wanted.name, life=life))
    write_private(directory / FILE, conf.encode())
    return directory / FILE


def _authorities(installation: Installation) -> Path:
    if installation.state.exists():
        return installation.state.pki_directory
    if installation.settings.certificates.pki_directory:
        return Path(installation.settings.certificates.pki_directory)
    raise HostError(
        "There are no authorities to sign its certificate: run this where 'livia up' runs, or with the octavia.conf "
        "whose [certificates] pki_directory names them."
    )


def _conf(installation: Installation, wanted: Wanted, directory: Path) -> str:
    key = installation.settings.health.heartbeat_key
    if not key and not installation.state.exists():
        raise HostError("[health_manager] heartbeat_key is not set: amphorae sign their heartbeats with it.")
    return _CONF.format(
        base_path=wanted.base_path,
        address=_address(wanted.address),
        port=wanted.port,
        directory=directory,
        controllers=",".join(_reached(wanted.controllers or (_health_manager(installation, wanted),))),
        interval=installation.settings.health.heartbeat_interval,
        key=installation.heartbeat_key,
        name=wanted.name,
        zone=wanted.zone,
        capacity=wanted.capacity,
        bridges_of=wanted.bridges_of,
    )


def _reached(controllers: tuple[str, ...]) -> tuple[str, ...]:
    """The same, once an agent would take them. Raises SettingsError."""
    for each in controllers:
        amphora_agent.controller(each)
    return controllers


def _health_manager(installation: Installation, wanted: Wanted) -> str:
    """Where heartbeats are heard, unless somebody says where from the host's side."""
    health = installation.settings.health
    try:
        bound = ip_address(health.bind_ip)
    except ValueError:
        raise HostError(
            f"Say with --controller which IP address [health_manager] bind_ip = {health.bind_ip} is."
        ) from None
    if bound.is_unspecified:
        raise HostError("Say with --controller where the host reaches the health manager, such as 192.0.2.1:5555.")
    if bound.is_loopback and not ip_address(wanted.address).is_loopback:
        raise HostError(
            f"The health manager hears heartbeats on {bound} only, where {wanted.address} cannot reach it: set "
            "[health_manager] bind_ip to an address of this machine, or say with --controller where it is reached."
        )
    return f"[{bound}]:{health.bind_port}" if bound.version == 6 else f"{bound}:{health.bind_port}"


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise HostError(f"--address {text!r}: it is the IP address at which controllers reach the host.") from None
