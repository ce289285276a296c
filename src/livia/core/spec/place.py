"""Where an amphora is on the network: interfaces, virtual addresses, VRRP."""

from enum import StrEnum

from msgspec import Struct


class Route(Struct, frozen=True, kw_only=True):
    destination: str
    nexthop: str


class InterfaceAddress(Struct, frozen=True, kw_only=True):
    """`address` with its prefix length, e.g. 10.0.0.5/24."""

    address: str


class Direction(StrEnum):
    """As the port sees it: what leaves the amphora, and what arrives."""

    EGRESS = "egress"
    INGRESS = "ingress"


class BandwidthLimit(Struct, frozen=True, kw_only=True):
    """`kbps`: kilobits (1,000 bits) per second. `burst_kb`: kilobits that may go at once; 0: those of 0.8 s."""

    direction: Direction
    kbps: int
    burst_kb: int = 0


class Interface(Struct, frozen=True, kw_only=True):
    """One network interface of the amphora, plugged into the segment of `network_id` on its host."""

    name: str
    mac: str
    mtu: int
    network_id: str
    port_id: str
    addresses: tuple[InterfaceAddress, ...]
    gateway: str | None = None
    routes: tuple[Route, ...] = ()
    #: on the traffic of the VIPs of this interface, at most one a direction
    limits: tuple[BandwidthLimit, ...] = ()


class VipAddress(Struct, frozen=True, kw_only=True):
    """A virtual address, on interface `interface`, held as a host address (/32 or /128)."""

    address: str
    interface: str


class Vrrp(Struct, frozen=True, kw_only=True):
    """VRRP version 3, unicast (RFC 5798). `advert_interval` in seconds."""

    instance: str
    interface: str
    router_id: int
    priority: int
    advert_interval: float
    source: str
    peers: tuple[str, ...]


class Peer(Struct, frozen=True, kw_only=True):
    """A HAProxy peer: the amphora's name in the peers section, and the address it listens on."""

    amphora_id: str
    address: str
    port: int = 1025


class Plug(Struct, frozen=True, kw_only=True):
    """A network port as the network driver describes it, ready to become an interface."""

    port_id: str
    network_id: str
    mac: str
    mtu: int
    #: address and prefix length of each fixed IP, e.g. 10.0.0.5/24
    addresses: tuple[str, ...]
    gateway: str | None = None
    routes: tuple[Route, ...] = ()
    #: of the VIPs' traffic, on the port of the VIP's network
    limits: tuple[BandwidthLimit, ...] = ()
