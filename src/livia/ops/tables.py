"""How the tables of commands look: whole ids and names, for the next command needs them."""

import os
import sys

from rich.console import Console, RenderableType
from rich.style import StyleType
from rich.table import Column, Table
from rich.text import Text

#: columns where nobody looks: enough for every table
_WIDE = 300


def console() -> Console:
    """Standard output. Into a pipe or a file go whole lines, unless COLUMNS says how long those are."""
    return Console() if sys.stdout.isatty() or "COLUMNS" in os.environ else Console(width=_WIDE)


class Listing(Table):
    """Texts in it are shown as they are, for tenants choose names: they are no markup of rich's, and characters that
    would do something to a terminal are not sent to it."""

    def add_row(
        self, *renderables: RenderableType | None, style: StyleType | None = None, end_section: bool = False
    ) -> None:
        cells = (Text(_printable(each)) if isinstance(each, str) else each for each in renderables)
        super().add_row(*cells, style=style, end_section=end_section)


def listing(*headers: str, title: str | None = None) -> Listing:
    """A table in which nothing is left out: what does not fit goes on in the next line."""
    return Listing(*(Column(each, overflow="fold") for each in headers), title=title, title_justify="left")


def _printable(text: str) -> str:
    return (
        text
        if text.isprintable()
        else "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    )
