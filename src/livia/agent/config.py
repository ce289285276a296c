"""What an agent has to be told. Everything else comes with each spec."""

from pathlib import Path

from msgspec import Struct


class AgentConfig(Struct, frozen=True, kw_only=True):
    """`state_directory` holds all that the agent keeps; removing it after `down` leaves nothing behind."""

    state_directory: Path
    #: the state directory of another agent of this machine, whose bridges this one uses; None: bridges of its own
    fabric_directory: Path | None = None
    #: the name in the agent's certificate: the host's name on an amphora host, the amphora id in a VM
    name: str
    #: the address that controllers reach the agent at, as told in the host's heartbeat
    address: str = "127.0.0.1"
    bind_host: str = "127.0.0.1"
    bind_port: int = 9443
    #: PEM of certificate and key
    certificate: Path
    #: PEM of the authority that controllers' certificates come from
    client_ca: Path
    #: (address, port) of the health managers, used in turn
    controllers: tuple[tuple[str, int], ...] = ()
    heartbeat_key: str
    #: on a tmpfs, for key material; None: the first of /run/livia, /dev/shm/livia and `state_directory` that is
    material_directory: Path | None = None
    #: seconds between two heartbeats of one amphora
    heartbeat_interval: float = 10.0
    availability_zone: str | None = None
    #: how many amphorae this host takes
    capacity: int = 1000
    haproxy: Path = Path("/usr/sbin/haproxy")
    keepalived: Path = Path("/usr/sbin/keepalived")
