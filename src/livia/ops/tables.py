"""How the tables of commands look: whole ids and names, for the next command needs them."""

import os
import sys

from rich.console import Console
from rich.table import Column, Table

#: columns where nobody looks: enough for every table
_WIDE = 300


def console() -> Console:
    """Standard output. Into a pipe or a file go whole lines, unless COLUMNS says how long those are."""
    return Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=_WIDE)


def listing(*headers: str, title: str | None = None) -> Table:
    """A table in which nothing is left out: what does not fit goes on in the next line."""
    return Table(*(Column(each, overflow="fold") for each in headers), title=title, title_justify="left")
