"""Where an amphora is on the network: interfaces, virtual addresses, VRRP."""

from msgspec import Struct


class Route(Struct, frozen=True, kw_only=True):
    destination: str
    nexthop: str


class InterfaceAddress(Struct, frozen=True, kw_only=True):
    """`address` with its prefix length, e.g. 10.0.0.5/24."""

    address: str


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
