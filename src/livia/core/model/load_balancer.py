"""The load balancer and its virtual IP addresses (contract 10)."""

from enum import StrEnum

from msgspec import Struct

from livia.core.model.item import Item


class Topology(StrEnum):
    SINGLE = "SINGLE"
    ACTIVE_STANDBY = "ACTIVE_STANDBY"


class VnicType(StrEnum):
    """What a port is on: a virtual switch, or a virtual function of a network card (SR-IOV)."""

    NORMAL = "normal"
    DIRECT = "direct"


class AdditionalVip(Struct, frozen=True, kw_only=True):
    subnet_id: str
    ip_address: str
    network_id: str | None = None
    port_id: str | None = None


class Vip(Struct, frozen=True, kw_only=True):
    """The primary address. `owned` says that we made its port, and so delete it."""

    address: str
    port_id: str
    subnet_id: str | None
    network_id: str
    qos_policy_id: str | None = None
    owned: bool = True
    vnic_type: str = "normal"


class LoadBalancer(Item, frozen=True, kw_only=True):
    description: str = ""
    topology: Topology
    provider: str
    flavor_id: str | None = None
    availability_zone: str | None = None
    vip: Vip
    additional_vips: tuple[AdditionalVip, ...] = ()
    #: counts accepted changes; see design, section 5
    generation: int
    #: the last generation that every amphora confirmed; 0 before the first
    confirmed_generation: int
