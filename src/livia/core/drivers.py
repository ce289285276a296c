"""What a driver can do: the protocols that services and the worker know (design, section 8).

Each has a real no-op implementation in `livia.drivers`. A call either returns, or raises `DriverError`
(the fault of the request or the far side, with a sentence for people) or `Unreachable` (try again).
"""

from collections.abc import Mapping
from typing import Protocol, Self, runtime_checkable

from msgspec import Struct

from livia.core.credentials import Credentials, Renewal
from livia.core.model.amphora import Amphora, AmphoraHost, Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.secret import Material
from livia.core.report import Applied, Held
from livia.core.spec import Assignment, BandwidthLimit, Plug


class DriverError(Exception):
    """The far side refused. `status` is the HTTP code to pass on, where the caller is an API request."""

    def __init__(self, message: str, *, code: str = "driver_error", status: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Unreachable(DriverError):
    """The far side did not answer: worth another try."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="unreachable", status=503)


class Subnet(Struct, frozen=True, kw_only=True):
    id: str
    network_id: str
    cidr: str
    gateway: str | None = None
    #: addresses not yet given to a port
    free: int = 0
    name: str = ""
    project_id: str | None = None


class Network(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    mtu: int
    subnet_ids: tuple[str, ...]
    port_security: bool = True
    project_id: str | None = None


class FixedIp(Struct, frozen=True, kw_only=True):
    subnet_id: str
    ip_address: str


class Port(Struct, frozen=True, kw_only=True):
    id: str
    name: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...]
    device_id: str = ""
    device_owner: str = ""
    qos_policy_id: str | None = None
    project_id: str | None = None


class QosPolicy(Struct, frozen=True, kw_only=True):
    """What a VIP's traffic is held to."""

    id: str
    name: str
    limits: tuple[BandwidthLimit, ...]


class NetworkDriver(Protocol):
    """Networks, subnets and ports. Names make `ensure_*` find their own earlier work."""

    def network(self, network_id: str) -> Network | None: ...

    def subnet(self, subnet_id: str) -> Subnet | None: ...

    def port(self, port_id: str) -> Port | None: ...

    def qos_policy(self, policy_id: str) -> QosPolicy | None:
        """Raises DriverError (400) where the network service has no QoS at all."""

    def security_group_exists(self, group_id: str) -> bool: ...

    def create_vip_port(
        self,
        load_balancer_id: str,
        project_id: str,
        network_id: str,
        fixed_ips: tuple[tuple[str, str | None], ...],
    ) -> Port:
        """The port `octavia-lb-<id>`. `fixed_ips`: (subnet id, wanted address or None). Refuses a taken address."""

    def preview_vip_port(
        self,
        load_balancer_id: str,
        project_id: str,
        network_id: str,
        fixed_ips: tuple[tuple[str, str | None], ...],
    ) -> Port:
        """What `create_vip_port` would answer now, or refuse. Makes nothing, and holds no address."""

    def claim_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        """Make a port that the user brings the load balancer's, once, whoever else wants it at the same time.

        Raises DriverError (409) when it is in use, or gone.
        """

    def release_vip_port(self, port_id: str, load_balancer_id: str) -> None:
        """Undo `claim_vip_port`. A port that is not the load balancer's is left alone."""

    def ensure_amphora_port(self, load_balancer: LoadBalancer, amphora: Amphora) -> Port:
        """The port `octavia-lb-vrrp-<amphora id>` on the VIP network, made once."""

    def ensure_member_port(self, amphora: Amphora, subnet_id: str) -> Port:
        """The port `octavia-lb-member-<amphora id>-<subnet id>`, made once."""

    def plug(self, port: Port) -> Plug:
        """How the agent is to make the interface for a port."""

    def delete_port(self, port_id: str) -> None:
        """Gone afterwards, whether or not it was there."""

    def ports_of(self, device_id: str) -> tuple[Port, ...]:
        """Ports made for a device: an amphora id, or `lb-<load balancer id>`."""


@runtime_checkable
class NetworkCatalogue(Protocol):
    """What a network driver also has when no other service can be asked for its networks: everything, oldest first.

    The API then answers the read-only requests by which the standard client resolves names.
    """

    def networks(self) -> tuple[Network, ...]: ...

    def subnets(self) -> tuple[Subnet, ...]: ...

    def ports(self) -> tuple[Port, ...]: ...

    def qos_policies(self) -> tuple[QosPolicy, ...]: ...


class Placement(Struct, frozen=True, kw_only=True):
    """Where an amphora is. `agent_name` is what the agent's certificate must say."""

    compute_id: str
    address: str
    agent_port: int
    agent_name: str
    zone: str | None = None

    @classmethod
    def on(cls, host: AmphoraHost) -> Self:
        """On an amphora host, whose agent has the host's name."""
        return cls(
            compute_id=host.id,
            address=host.address,
            agent_port=host.agent_port,
            agent_name=host.id,
            zone=host.availability_zone,
        )


class NoCapacity(DriverError):
    """No place is free for another amphora."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="no_capacity", status=503)


class ComputeDriver(Protocol):
    """Places for amphorae."""

    def place(self, load_balancer: LoadBalancer, amphora: Amphora, beside: frozenset[str]) -> Placement:
        """Choose (host) or boot (VM) a place; the same amphora gets the same one again. `beside`: ids of the load
        balancer's other amphorae, whose places are shunned while another exists. Raises NoCapacity."""

    def full(self, load_balancer: LoadBalancer) -> str | None:
        """Why no place is free for another amphora; None: there is one."""

    def find(self, amphora: Amphora) -> Placement | None:
        """Where the amphora is, or None when its place is gone."""

    def lost(self, amphora: Amphora) -> str | None:
        """Why the amphora's place cannot be reached, and will not be soon; None: as far as is known, it can."""

    def shun(self, load_balancer: LoadBalancer, amphora: Amphora) -> bool:
        """The amphora cannot be built where it was placed: for a while that place is the last to be chosen. Whether
        there is another that is not shunned."""

    def release(self, amphora: Amphora) -> None: ...


@runtime_checkable
class PlacementPreview(Protocol):
    """What a compute driver also has where it knows which amphorae share a place, and where another would go."""

    def in_service(self) -> tuple[AmphoraHost, ...]:
        """The hosts that are heard of and not being drained, with room or without."""

    def preview(
        self, zone: str | None, role: Role, beside: frozenset[str], taken: Mapping[str, int]
    ) -> AmphoraHost | None:
        """Where `place` would put an amphora of a load balancer in an availability zone now (None: in any), beside the
        amphorae of these ids, and if there were `taken` more amphorae on hosts by id. None: nowhere. Holds nothing."""


class AmphoraDriver(Protocol):
    """Talks to agents. Raises `Unreachable`, or `DriverError` with the agent's own reason."""

    def apply(self, placement: Placement, assignment: Assignment) -> Applied: ...

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        """What runs there; None when the agent knows no such amphora."""

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None: ...


@runtime_checkable
class AgentDriver(Protocol):
    """What a driver of agents also has where these serve with certificates of ours."""

    def credentials(self, placement: Placement) -> Credentials | None:
        """What a new connection is served with, asked over one; None where the agent does not tell.

        Raises as AmphoraDriver does."""

    def renew(self, placement: Placement, renewal: Renewal) -> Credentials:
        """Have the agent serve new connections with another certificate. Those that are open go on."""


@runtime_checkable
class AgentInventory(Protocol):
    """What a driver of agents also has where these can be asked for everything that they hold."""

    def inventory(self, placement: Placement) -> tuple[Held, ...] | None:
        """None where the agent does not tell. Raises as AmphoraDriver does."""


class SecretNotFound(DriverError):
    """The store has nothing of this reference, or not for this project: a caller cannot tell which."""

    def __init__(self) -> None:
        super().__init__("is not known to the secret store", code="secret_not_found", status=400)


class SecretUnreadable(DriverError):
    """The store has it and cannot read it. The message follows the reference in a sentence, and says nothing of the
    store's own paths and keys: tenants see it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="secret_unreadable", status=400)


class SealBroken(Exception):
    """It was sealed with other keys, or for another place, or it is damaged."""


class Seal(Protocol):
    """Keeps bytes where others can read them, and only us. `place` is where they are kept: opened elsewhere, the
    same bytes are worth nothing, so that nobody who writes there can exchange them."""

    def seal(self, plain: bytes, place: str) -> bytes: ...

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises `SealBroken`."""


class SecretStore(Protocol):
    """Where key material is kept."""

    def read(self, reference: str, project_id: str | None) -> Material:
        """The material for a load balancer of a project. Raises `SecretNotFound`, `SecretUnreadable`, `Unreachable`.

        `reference` is any text that a tenant sent.
        """
