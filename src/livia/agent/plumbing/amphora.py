"""The network of one amphora: its namespace, interfaces, addresses and routes."""

import json
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_interface
from typing import Any

from livia.agent.names import Names
from livia.agent.plumbing import bandwidth, kernel
from livia.agent.plumbing.fabric import Fabric
from livia.core.spec import Direction, Interface, Spec

_EACH = ("all", "default")
#: A new namespace can inherit values of the host: all that matter are written.
_SYSCTLS = (
    ("ipv4/ip_nonlocal_bind", "1"),
    ("ipv6/ip_nonlocal_bind", "1"),
    # Connections to members need source ports; the peers port (1025) stays out of it.
    ("ipv4/ip_local_port_range", "10240\t65535"),
    # An address is answered for only where it is, and packets carry addresses of their interface: two
    # amphorae of a pair are on the same segment.
    *((f"ipv4/conf/{each}/arp_ignore", "1") for each in _EACH),
    *((f"ipv4/conf/{each}/arp_announce", "2") for each in _EACH),
    *((f"ipv4/conf/{each}/rp_filter", "0") for each in _EACH),
    # Duplicate address detection would hold a VIP back for a second. The controller gives out addresses.
    *((f"ipv6/conf/{each}/accept_dad", "0") for each in _EACH),
    *((f"ipv6/conf/{each}/accept_ra", "0") for each in _EACH),
    *((f"ipv6/conf/{each}/disable_ipv6", "0") for each in _EACH),
)
#: of a namespace that was just made; its packet rules turn it into a router where they balance
_NO_ROUTER = (("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0"))
_PROTOCOL = "static"


class AmphoraNetwork:
    """Makes the network of one amphora what its spec says."""

    def __init__(self, fabric: Fabric, names: Names, amphora_id: str) -> None:
        self._fabric = fabric
        self._names = names
        self.namespace = names.amphora(amphora_id)

    def present(self) -> bool:
        """Whether the namespace is there."""
        return kernel.exists(self.namespace)

    def apply(self, spec: Spec, prepare: Callable[[bool], None]) -> None:
        """Make interfaces, addresses and routes what the spec says. Touches what differs. Raises PlumbingError.

        `prepare` is called when the namespace is there, before any address of the spec answers; it is told whether
        the namespace was just made.
        """
        fresh = not self.present()
        if fresh:
            kernel.add(self.namespace)
            kernel.inside(self.namespace, lambda: kernel.write_sysctls((*_SYSCTLS, *_NO_ROUTER)))
        prepare(fresh)
        if fresh:
            self._plug(spec, set())
            lines = ["link set lo up"]
            for interface in spec.interfaces:
                lines += _settle(interface, _wanted(spec, interface))
        else:
            lines = self._change(spec)
        kernel.batch(self.namespace, lines)
        self._limit(spec, fresh=fresh)
        kernel.inside(self.namespace, lambda: _announce(spec))

    def remove(self, spec: Spec | None) -> None:
        """Remove the namespace and its ports, whether or not they are there. `spec` names the ports; without one they
        are found by the interfaces: those of a namespace would go only with its last process and socket."""
        if spec is not None:
            ports = [self._names.port(interface.port_id) for interface in spec.interfaces]
        else:
            ports = self._fabric.partners(self._links()) if self.present() else []
        self._fabric.unplug(ports)
        kernel.delete(self.namespace)

    def _links(self) -> list[int]:
        """Numbers of the fabric's ends of the interfaces."""
        return [link["link_index"] for link in self._show("link") if "link_index" in link]

    def _limit(self, spec: Spec, *, fresh: bool) -> None:
        for interface in spec.interfaces:
            addresses = [vip.address for vip in spec.vips if vip.interface == interface.name]
            if not addresses:
                continue
            limits = {each.direction: each for each in interface.limits}
            outgoing, incoming = limits.get(Direction.EGRESS), limits.get(Direction.INGRESS)
            port = self._names.port(interface.port_id)
            bandwidth.limit(self.namespace, interface.name, "src", addresses, outgoing, fresh=fresh)
            bandwidth.limit(self._fabric.namespace, port, "dst", addresses, incoming, fresh=fresh)

    def _plug(self, spec: Spec, present: set[str]) -> None:
        for interface in spec.interfaces:
            if interface.name not in present:
                self._fabric.plug(
                    interface.network_id,
                    self._names.port(interface.port_id),
                    f"name {interface.name} address {interface.mac} netns {self.namespace}",
                    interface.mtu,
                )

    def _change(self, spec: Spec) -> list[str]:
        """Bring links in order, and say what is left to do inside the namespace."""
        kernel.inside(self.namespace, lambda: kernel.write_sysctls(_SYSCTLS))
        actual = {link["ifname"]: link for link in self._show("address") if link.get("link_type") == "ether"}
        kept = self._keep(spec, actual)
        self._plug(spec, set(kept))
        lines = ["link set lo up"]
        for interface in spec.interfaces:
            wanted = _wanted(spec, interface)
            here = _addresses(kept[interface.name]) if interface.name in kept else set()
            # Those of a pair are keepalived's to add and to remove.
            floating = {_host(vip.address) for vip in spec.vips} if spec.vrrp else set()
            doomed = here - set(wanted) - floating
            lines += [f"address delete {address} dev {interface.name}" for address in sorted(doomed)]
            lines += _settle(interface, [address for address in wanted if address not in here])
        return lines + self._stale_routes(spec)

    def _keep(self, spec: Spec, actual: dict[str, Any]) -> dict[str, Any]:
        """Interfaces that can stay; all others are removed."""
        ports = self._fabric.links()
        kept: dict[str, Any] = {}
        wanted = {interface.name: interface for interface in spec.interfaces}
        doomed: list[str] = []
        for name, link in actual.items():
            interface = wanted.get(name)
            if interface is not None and self._same(interface, link, ports):
                kept[name] = link
            else:
                doomed.append(f"link delete {name}")
        kernel.batch(self.namespace, doomed)
        # An end that lost its partner's name, e.g. when a port moved to another network.
        self._fabric.unplug(self._names.port(each.port_id) for name, each in wanted.items() if name not in kept)
        return kept

    def _same(self, interface: Interface, link: dict[str, Any], ports: dict[str, str]) -> bool:
        bridge = self._names.bridge(interface.network_id)
        return link["address"] == interface.mac.lower() and ports.get(self._names.port(interface.port_id)) == bridge

    def _stale_routes(self, spec: Spec) -> list[str]:
        """Commands that delete routes which the spec no longer has."""
        wanted = {destination for interface in spec.interfaces for destination, _via in _routes(interface)}
        lines: list[str] = []
        for family in ("-4", "-6"):
            for route in self._show("route", family, "show", "proto", _PROTOCOL):
                destination = _destination(str(route["dst"]), family)
                if destination not in wanted:
                    lines.append(f"route delete {destination} dev {route['dev']} proto {_PROTOCOL}")
        return lines

    def _show(self, what: str, *arguments: str) -> list[Any]:
        family, rest = (arguments[:1], arguments[1:]) if arguments else ((), ())
        listed: list[Any] = json.loads(kernel.ip([*family, "-n", self.namespace, "-j", what, *rest]) or "[]")
        return listed


def _wanted(spec: Spec, interface: Interface) -> list[str]:
    """Addresses in the order to add them: the kernel takes the first as source, and that must not be a VIP."""
    addresses = [str(ip_interface(each.address)) for each in interface.addresses]
    if spec.vrrp is None:
        addresses += [_host(vip.address) for vip in spec.vips if vip.interface == interface.name]
    return addresses


def _host(address: str) -> str:
    return str(ip_interface(address))


def _addresses(link: dict[str, Any]) -> set[str]:
    return {
        str(ip_interface(f"{each['local']}/{each['prefixlen']}"))
        for each in link.get("addr_info", ())
        if each.get("scope") != "link"
    }


def _settle(interface: Interface, addresses: list[str]) -> list[str]:
    lines = [f"link set {interface.name} mtu {interface.mtu} up"]
    for address in addresses:
        dad = " nodad" if ip_interface(address).version == 6 else ""
        lines.append(f"address replace {address} dev {interface.name}{dad}")
    for destination, via in _routes(interface):
        lines.append(f"route replace {destination} via {via} dev {interface.name} proto {_PROTOCOL} onlink")
    return lines


def _routes(interface: Interface) -> list[tuple[str, str]]:
    """(destination, next hop) of each route of an interface."""
    routes = [(str(ip_interface(each.destination).network), each.nexthop) for each in interface.routes]
    if interface.gateway:
        version = ip_address(interface.gateway).version
        routes.append(("::/0" if version == 6 else "0.0.0.0/0", interface.gateway))
    return routes


def _destination(text: str, family: str) -> str:
    if text == "default":
        return "::/0" if family == "-6" else "0.0.0.0/0"
    return str(ip_interface(text).network)


def _announce(spec: Spec) -> None:
    for interface in spec.interfaces:
        for address in _wanted(spec, interface):
            # Best effort: neighbours that know no better ask.
            with suppress(OSError):
                kernel.announce(interface.name, interface.mac, str(ip_interface(address).ip))
