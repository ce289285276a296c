"""`livia host`: amphora hosts, emptied for maintenance and forgotten when they are lost."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_database
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with hosts."""
    parser.set_defaults(run=_host)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    command(actions, "list", "show all hosts, what is left on drained ones, and what the loss of each would cost")
    for name, about in (
        ("drain", "place nothing there any more, and replace what is there, one amphora of a load balancer at a time"),
        ("undrain", "take it into service again; what has not left stays"),
        ("remove", "forget a host that is lost, or drained and ended; what was on it is replaced"),
    ):
        command(actions, name, about).add_argument("host", help="name, as in 'livia host list'")


def _host(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import hosts
    from livia.ops.tables import console
    from livia.services.hosts import HostError

    if lacking := without_database(installation):
        return fail(lacking)
    acts = {"drain": hosts.drain, "undrain": hosts.undrain, "remove": hosts.remove}
    try:
        if options.action == "list":
            hosts.show_all(installation, console())
        else:
            print(acts[options.action](installation, options.host))
    except HostError as error:
        return fail(str(error))
    return 0
