"""Which subnets a local network may have, and which addresses and MACs its ports get."""

import hashlib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sqlalchemy import Connection

from livia.core.drivers import DriverError
from livia.store import local_networks as store

_Address = IPv4Address | IPv6Address
_Cidr = IPv4Network | IPv6Network


def planned(cidrs: Sequence[str], gateways: Sequence[str]) -> list[tuple[_Cidr, _Address]]:
    """Each subnet with its gateway. Raises ValueError."""
    blocks = [ip_network(cidr) for cidr in cidrs]
    if not blocks:
        raise ValueError("A network needs at least one subnet.")
    for index, block in enumerate(blocks):
        if block.num_addresses < 8:
            raise ValueError(f"{block} is too small: a network needs room for a gateway, a VIP and an amphora.")
        if block.is_link_local or block.is_multicast or block.is_loopback:
            raise ValueError(f"{block} is link-local, multicast or loopback: no load balancer can be there.")
        for other in blocks[:index]:
            if block.version == other.version and block.overlaps(other):
                raise ValueError(f"{block} overlaps with {other}.")
    chosen: dict[_Cidr, _Address] = {}
    for gateway in map(ip_address, gateways):
        block_of = next((block for block in blocks if gateway in block), None)
        if block_of is None:
            raise ValueError(f"The gateway {gateway} is not inside {', '.join(map(str, blocks))}.")
        if not _is_host(block_of, gateway):
            raise ValueError(f"The gateway {gateway} is the network or broadcast address of {block_of}.")
        if block_of in chosen:
            raise ValueError(f"{block_of} is given two gateways: {chosen[block_of]} and {gateway}.")
        chosen[block_of] = gateway
    return [(block, chosen.get(block) or block.network_address + 1) for block in blocks]


def book(connection: Connection, subnet_id: str, wanted: str | None) -> tuple[str, str]:
    """An address of the subnet that no port has: the wanted one, or the lowest."""
    row = store.subnet(connection, subnet_id)
    if row is None:
        raise DriverError(f"Subnet {subnet_id} not found.", code="subnet_not_found", status=404)
    block = ip_network(row["cidr"])
    used = store.used_addresses(connection, subnet_id)
    if wanted is None:
        free = next((str(each) for each in _usable(block, row["gateway"]) if str(each) not in used), None)
        if free is None:
            raise DriverError(f"Subnet {row['name']} ({block}) has no free address.", code="no_address", status=409)
        return subnet_id, free
    address = str(ip_address(wanted))
    if ip_address(address) not in block:
        raise DriverError(f"{wanted} is not an address of subnet {row['name']} ({block}).", status=400)
    if address == row["gateway"] or not _is_host(block, ip_address(address)):
        raise DriverError(f"{wanted} is the gateway, network or broadcast address of {block}.", status=400)
    if address in used:
        raise DriverError(f"The VIP IP address is already in use: {wanted}", code="address_in_use", status=409)
    return subnet_id, address


def _usable(block: _Cidr, gateway: str | None) -> Iterator[_Address]:
    return (each for each in block.hosts() if str(each) != gateway)


def _is_host(block: _Cidr, address: _Address) -> bool:
    return address not in (block.network_address, block.broadcast_address)


def mac(network_id: str, address: str) -> str:
    """A MAC that an address always has: neighbours that remember it stay right when a port is made again.

    The two low bits of the first byte say: locally administered, unicast (IEEE 802).
    """
    raw = hashlib.sha256(f"{network_id}:{address}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *raw[:5]))
