"""`livia host`: amphora hosts, emptied for maintenance and forgotten when they are lost."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, known, nothing_in

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with hosts."""
    parser.set_defaults(run=_host)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    actions.add_parser(
        "list", help="show all hosts, what is left on drained ones, and what the loss of each would cost"
    )
    for name, about in (
        ("drain", "place nothing there any more, and replace what is there, one amphora of a load balancer at a time"),
        ("undrain", "take it into service again; what has not left stays"),
        ("remove", "forget a host that is lost, or drained and ended; what was on it is replaced"),
    ):
        actions.add_parser(name, help=about).add_argument("host", help="name, as in 'livia host list'")


def _host(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import hosts
    from livia.ops.tables import console
    from livia.services.hosts import HostError

    if not known(installation):
        return nothing_in(installation)
    acts = {"drain": hosts.drain, "undrain": hosts.undrain, "remove": hosts.remove}
    try:
        if options.action == "list":
            hosts.show_all(installation, console())
        else:
            print(acts[options.action](installation, options.host))
    except HostError as error:
        return fail(str(error))
    return 0
