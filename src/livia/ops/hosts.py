"""`livia host`: amphora hosts, emptied for maintenance and forgotten when they are lost."""

from contextlib import closing
from pathlib import Path

from rich.console import Console

from livia.drivers.wake.datagram import DatagramWake
from livia.ops import drivers
from livia.ops.services import Installation
from livia.ops.settings import Settings
from livia.ops.tables import listing
from livia.services import hosts
from livia.services.hosts import HostView


def drain(installation: Installation, host_id: str) -> str:
    """Begin to empty a host; what to tell. Raises HostError."""
    with closing(_wake(installation)) as wake:
        count = hosts.drain(installation.database(), wake, host_id)
    if not count:
        return f"Host {host_id} is drained: nothing is on it, and nothing is placed there."
    return f"Host {host_id} is being drained of {_amphorae(count)}: 'livia host list' shows how many are left."


def undrain(installation: Installation, host_id: str) -> str:
    """Take a host into service again; what to tell. Raises HostError."""
    with closing(_wake(installation)) as wake:
        count = hosts.undrain(installation.database(), wake, host_id)
    return f"Host {host_id} is in service again, with {_amphorae(count)}."


def remove(installation: Installation, host_id: str) -> str:
    """Forget a host; what to tell. Raises HostError."""
    with closing(_wake(installation)) as wake:
        count = hosts.remove(installation.database(), wake, installation.clock, host_id, silence(installation))
    return f"Host {host_id} is forgotten." + (f" {_amphorae(count).capitalize()} will be replaced." if count else "")


def show_all(installation: Installation, console: Console) -> None:
    """Print every host, and what the loss of the worst would cost."""
    found = hosts.view(installation.database(), silence(installation))
    table = listing("Host", "Agent", "Zone", "Amphorae", "State", "Last heard", "At its loss: down", "interrupted")
    for each in found:
        table.add_row(*columns(each), str(each.loss.down), str(each.loss.interrupted))
    console.print(table)
    console.print(worst(found))


def columns(view: HostView) -> tuple[str, ...]:
    """Name, agent, zone, amphorae, state and age, as tables show them."""
    host = view.host
    return (
        host.id,
        f"{host.address}:{host.agent_port}",
        host.availability_zone or "-",
        f"{host.amphora_count} of {host.capacity}",
        view.state,
        f"{view.age:.0f} s ago",
    )


def worst(found: tuple[HostView, ...]) -> str:
    """What the loss of one host costs at worst, in a sentence."""
    ordered = sorted((each.loss for each in found), key=lambda loss: (loss.down, loss.interrupted))
    if not ordered or not ordered[-1].load_balancers:
        return "No load balancer depends on any host."
    loss = ordered[-1]
    return (
        f"The loss of host {loss.host_id}, the worst, takes {loss.down} of {loss.load_balancers} load balancers down "
        f"until they are built anew, and interrupts {loss.interrupted} ({loss.share:.0%}) in all."
    )


def _amphorae(count: int) -> str:
    return "1 amphora" if count == 1 else f"{count} amphorae"


def silence(installation: Installation) -> float:
    """Seconds after which a host counts as lost. Agents that are not of a `livia up` report as octavia.conf says, or
    else as seldom as it does without a word."""
    ours = drivers.host_silence(installation.settings)
    return ours if installation.state.exists() else max(ours, drivers.host_silence(Settings()))


def _wake(installation: Installation) -> DatagramWake:
    """Where workers of this machine listen; those of another look every second."""
    if installation.state.exists():
        return DatagramWake(installation.state.wake_path)
    return DatagramWake(Path(installation.settings.livia.wake_socket or installation.state.wake_path))
