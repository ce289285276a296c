"""`livia network qos`: policies that VIPs may name."""

from rich.console import Console

from livia.core.drivers import DriverError, QosPolicy
from livia.drivers.network.qos import QosPolicies, QosPolicyExistsError
from livia.ops.network import NetworkError
from livia.ops.services import Installation
from livia.ops.tables import listing


def create(installation: Installation, name: str, *, max_kbps: int, burst_kb: int, direction: str) -> QosPolicy:
    """A policy that VIPs may name. Raises NetworkError."""
    try:
        return _policies(installation).create(name, max_kbps=max_kbps, burst_kb=burst_kb, direction=direction)
    except (ValueError, QosPolicyExistsError) as error:
        raise NetworkError(str(error)) from error


def delete(installation: Installation, name: str) -> None:
    """Remove a policy by name or id. Raises NetworkError."""
    policies = _policies(installation)
    found = next((each for each in policies.every() if name in (each.name, each.id)), None)
    if found is None:
        raise NetworkError(f"There is no QoS policy {name}.")
    try:
        policies.delete(found.id)
    except DriverError as error:
        raise NetworkError(error.message) from error


def show_all(installation: Installation, console: Console) -> None:
    """Print every policy."""
    table = listing("QoS policy", "Id", "Direction", "kbit/s", "Burst, kbit")
    for policy in _policies(installation).every():
        directions = ", ".join(limit.direction for limit in policy.limits)
        limit = policy.limits[0]
        table.add_row(policy.name, policy.id, directions, str(limit.kbps), str(limit.burst_kb or "of 0.8 s"))
    console.print(table)


def _policies(installation: Installation) -> QosPolicies:
    return QosPolicies(installation.database(), installation.clock)
