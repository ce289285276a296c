"""Connects the host, and namespaces that are no amphorae, to networks of the fabric.

For the command line (so that a VIP can be reached from the machine), for demo members and for tests. Everything
made here goes with `Fabric.close` or with the namespace.
"""

import json
import os
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from livia.agent.errors import PlumbingError
from livia.agent.plumbing import kernel
from livia.agent.plumbing.fabric import Fabric


def attach_host(fabric: Fabric, network_id: str, cidr_address: str, mtu: int = 1500) -> str:
    """Give the host `cidr_address` (e.g. 10.0.0.1/24) on a network, through a veth pair into the fabric.

    The host is the network namespace that we run in, which need not be that of PID 1. Returns the name of the host's
    interface. Done twice, it changes nothing. Raises PlumbingError, also when the
    host has addresses of that network elsewhere: it would send to one of the two places only.
    """
    address = ip_interface(cidr_address)
    names = fabric.names
    outer, inner = names.host_outer(network_id), names.host_inner(network_id)
    _refuse_overlap(address, outer)
    if inner not in fabric.links():
        fabric.plug(network_id, inner, f"name {outer} netns {os.getpid()}", mtu)
    dad = ["nodad"] if address.version == 6 else []
    kernel.ip(["address", "replace", str(address), "dev", outer, *dad])
    kernel.ip(["link", "set", outer, "up"])
    mac = str(json.loads(kernel.ip(["-j", "link", "show", "dev", outer]))[0]["address"])
    # Amphorae may remember the MAC of an earlier attachment.
    kernel.announce(outer, mac, str(address.ip))
    return outer


def _refuse_overlap(address: IPv4Interface | IPv6Interface, ours: str) -> None:
    for link in json.loads(kernel.ip(["-j", "address", "show"]) or "[]"):
        for each in link.get("addr_info", ()):
            other = ip_interface(f"{each['local']}/{each['prefixlen']}")
            if link["ifname"] == ours or other.version != address.version or each.get("scope") == "link":
                continue
            if other.ip in address.network or address.ip in other.network:
                raise PlumbingError(
                    f"{address.network} meets {other} on this host's interface {link['ifname']}: "
                    "choose another address range for the network, or remove that address."
                )


def detach_host(fabric: Fabric, network_id: str) -> None:
    """Take the host off a network, whether or not it was on it."""
    fabric.unplug([fabric.names.host_inner(network_id)])


def plug_namespace(
    fabric: Fabric,
    network_id: str,
    namespace: str,
    *,
    mac: str,
    addresses: tuple[str, ...],
    gateway: str | None = None,
    interface: str = "eth0",
    mtu: int = 1500,
) -> None:
    """Connect a network namespace to a network. It is made if it is not there; `kernel.delete` removes it.

    `addresses` have prefix lengths. Raises PlumbingError, also when `interface` is there already.
    """
    kernel.add(namespace)
    inner = fabric.names.guest(network_id, namespace)
    fabric.plug(network_id, inner, f"name {interface} address {mac} netns {namespace}", mtu)
    lines = ["link set lo up", f"link set {interface} up"]
    for address in addresses:
        dad = " nodad" if ip_interface(address).version == 6 else ""
        lines.append(f"address add {ip_interface(address)} dev {interface}{dad}")
    if gateway:
        lines.append(f"route add default via {gateway}")
    kernel.batch(namespace, lines)

    def announce() -> None:
        for address in addresses:
            kernel.announce(interface, mac, str(ip_interface(address).ip))

    kernel.inside(namespace, announce)


def unplug_namespace(fabric: Fabric, network_id: str, namespace: str) -> None:
    """Undo `plug_namespace`; the namespace stays."""
    fabric.unplug([fabric.names.guest(network_id, namespace)])
