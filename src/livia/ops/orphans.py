"""`livia orphans`: what nobody owns, as the house has seen it."""

from rich.console import Console

from livia.ops.services import Installation
from livia.ops.tables import listing
from livia.store import orphans


def show(installation: Installation, console: Console) -> None:
    """Print the list that the house keeps."""
    options = installation.settings.livia
    database = installation.database()
    with database.read() as connection:
        seen = orphans.seen(connection)
    database.close()
    if not seen:
        console.print("Everything has an owner.")
        return
    table = listing("Kind", "Where", "Name", "Known for", "Why", title="Orphans")
    for orphan, known_for in seen:
        table.add_row(orphan.kind, orphan.place or "-", orphan.name, f"{known_for:.0f} s", orphan.reason)
    console.print(table)
    console.print(
        f"The house looks every {options.orphan_check_interval:.0f} s, and removes what it sees again when it is known "
        f"for {options.orphan_grace:.0f} s and no worker is at it."
    )
