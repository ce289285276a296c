"""`livia ca`: the authorities by which agents and controllers know each other."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_livia
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with them."""
    parser.set_defaults(run=_ca)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    command(actions, "show", "show authorities and certificates, and when they end")
    command(actions, "rotate", "have new authorities take the place of the present ones, without interruption")


def _ca(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import ca
    from livia.ops.tables import console
    from livia.pki.authority import AuthorityError

    if lacking := without_livia(installation):
        return fail(lacking)
    try:
        if options.action == "rotate":
            print("\n".join(ca.rotate(installation)))
        ca.show(installation, console())
    except (AuthorityError, OSError) as error:
        return fail(str(error))
    return 0
