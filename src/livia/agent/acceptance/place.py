"""What interfaces, virtual addresses and peers must be like."""

import re

from livia.agent.acceptance.fields import address, between, network, unique
from livia.agent.errors import InvalidSpecError
from livia.core.spec import Interface

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_INTERFACE = re.compile(r"eth[0-9]{1,3}|m[0-9a-f]{12}")

#: 2 Tbit/s: what 31 bits hold, as in network services
_MOST_KILOBITS = 2**31 - 1


def check_interface(interface: Interface) -> None:
    if not _INTERFACE.fullmatch(interface.name):
        raise InvalidSpecError(f"{interface.name!r} is no interface of an amphora: eth0, or m and 12 digits.")
    if not _MAC.fullmatch(interface.mac):
        raise InvalidSpecError(f"{interface.mac!r} is no MAC address.")
    between(interface.mtu, 68, 65535, "MTU")
    for each in interface.addresses:
        network(each.address, "interface address")
    for route in interface.routes:
        network(route.destination, "route")
        address(route.nexthop, "next hop")
    if interface.gateway is not None:
        address(interface.gateway, "gateway")
    unique("bandwidth limit", (each.direction for each in interface.limits))
    for limit in interface.limits:
        between(limit.kbps, 1, _MOST_KILOBITS, "bandwidth limit")
        between(limit.burst_kb, 0, _MOST_KILOBITS, "burst")
