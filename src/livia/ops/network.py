"""`livia network`: local networks, made and removed on this machine."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from pyroute2 import IPRoute
from rich.console import Console

from livia.agent.errors import PlumbingError
from livia.agent.plumbing import segment
from livia.core.drivers import DriverError, Network
from livia.drivers.network.local import LocalNetworks, NetworkExistsError
from livia.ops.services import Installation
from livia.ops.tables import listing
from livia.ops.up import attach, fabric_of


class NetworkError(Exception):
    """Why it was not done, as one sentence."""


def create(
    installation: Installation, name: str, cidrs: Sequence[str], *, gateways: Sequence[str] = (), mtu: int = 1500
) -> Network:
    """A network with a subnet for each CIDR, whose gateway is this machine. Raises NetworkError."""
    for cidr in cidrs:
        try:
            block = ip_network(cidr)
        except ValueError as error:
            raise NetworkError(f"{cidr} is no network: {error}.") from error
        overlapping = _overlapping_route(str(block))
        if overlapping is not None:
            raise NetworkError(
                f"{cidr} overlaps with {overlapping}, which this machine reaches already: choose another."
            )
    networks = LocalNetworks(installation.database(), installation.clock)
    try:
        network = networks.create(name, *cidrs, gateways=gateways, mtu=mtu)
    except (ValueError, NetworkExistsError) as error:
        raise NetworkError(str(error)) from error
    try:
        attach(installation, networks, network)
    except PlumbingError as error:
        networks.delete(network.id)
        segment.detach_host(fabric_of(installation), network.id)
        raise NetworkError(f"{error.message} {error.details or ''}".strip()) from error
    return network


def delete(installation: Installation, name: str) -> None:
    """Remove a network by name or id. Raises NetworkError."""
    networks = LocalNetworks(installation.database(), installation.clock)
    network = find(networks, name)
    try:
        networks.delete(network.id)
    except DriverError as error:
        raise NetworkError(error.message) from error
    segment.detach_host(fabric_of(installation), network.id)


def find(networks: LocalNetworks, name: str) -> Network:
    """A network by name or id. Raises NetworkError."""
    for network in networks.networks():
        if name in (network.name, network.id):
            return network
    raise NetworkError(f"There is no network {name}.")


def show_all(installation: Installation, console: Console) -> None:
    """Print every network with its subnets."""
    networks = LocalNetworks(installation.database(), installation.clock)
    table = listing("Network", "Network id", "Subnet id", "CIDR", "Gateway (this machine)", "Free")
    for network in networks.networks():
        for subnet_id in network.subnet_ids:
            subnet = networks.subnet(subnet_id)
            if subnet is not None:
                row = (network.name, network.id, subnet.id, subnet.cidr, subnet.gateway or "-", str(subnet.free))
                table.add_row(*row)
    console.print(table)


def _overlapping_route(cidr: str) -> str | None:
    """A route of this machine, other than the default one, that covers addresses of `cidr`."""
    block = ip_network(cidr)
    with IPRoute() as netlink:
        for route in netlink.get_routes(family=2 if block.version == 4 else 10, table=254):
            destination = route.get_attr("RTA_DST")
            if not destination or route["dst_len"] == 0:
                continue
            other = ip_network(f"{ip_address(destination)}/{route['dst_len']}", strict=False)
            if other.version == block.version and other.overlaps(block):
                return str(other)
    return None
