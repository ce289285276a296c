"""`livia events`: what became of load balancers, and why."""

from rich.console import Console
from rich.text import Text

from livia.core.model.event import Severity
from livia.ops.services import Installation
from livia.ops.tables import listing
from livia.store import events

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: ""}


def show(installation: Installation, console: Console, named: str | None, limit: int) -> bool:
    """Print the last `limit` events, of all or of the load balancers with this id or name. False: there are none."""
    with installation.database().read() as connection:
        found = events.newest(connection, named=named, limit=limit)
    table = listing("When (UTC)", "Load balancer", "", "What", "Request")
    for entry, when in found:
        severity = Text(str(entry.severity), style=_STYLES[Severity(entry.severity)])
        what = f"{entry.message} ({entry.code})"
        moment = f"{when:%Y-%m-%d %H:%M:%S}"
        table.add_row(moment, entry.load_balancer_id, severity, what, entry.request_id or "-")
    if found:
        console.print(table)
    return bool(found)
