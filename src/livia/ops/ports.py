"""`livia network port`: ports for VIPs, kept when their load balancer goes."""

from collections.abc import Sequence

from rich.console import Console

from livia.core.drivers import DriverError, Port
from livia.drivers.network.local import LocalNetworks
from livia.ops.network import NetworkError, find
from livia.ops.services import Installation
from livia.ops.tables import listing


def create(installation: Installation, name: str, network: str, addresses: Sequence[str]) -> Port:
    """A port that load balancers may be created on. Raises NetworkError."""
    networks = _networks(installation)
    try:
        return networks.create_port(name, find(networks, network), addresses)
    except ValueError as error:
        raise NetworkError(f"{error}.") from error
    except DriverError as error:
        raise NetworkError(error.message) from error


def delete(installation: Installation, name: str) -> None:
    """Remove a port by name or id. Raises NetworkError, also for one in use."""
    networks = _networks(installation)
    found = next((port for port in networks.ports() if name in (port.name, port.id)), None)
    if found is None:
        raise NetworkError(f"There is no port {name}.")
    try:
        networks.delete_idle_port(found.id)
    except DriverError as error:
        raise NetworkError(error.message) from error


def show_all(installation: Installation, console: Console) -> None:
    """Print every port."""
    table = listing("Port", "Id", "Addresses", "Used by")
    for port in _networks(installation).ports():
        addresses = ", ".join(fixed.ip_address for fixed in port.fixed_ips)
        table.add_row(port.name, port.id, addresses, port.device_id or "-")
    console.print(table)


def _networks(installation: Installation) -> LocalNetworks:
    return LocalNetworks(installation.database(), installation.clock)
