"""`livia events`, `livia retry` and `livia orphans`: what happened, what is not done, and what is left over."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_database
from livia.ops.commands.parsing import count

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add_events(parser: argparse.ArgumentParser) -> None:
    """Of which, and how many."""
    parser.add_argument("load_balancer", nargs="?", metavar="LOAD_BALANCER", help="id or name (default: all)")
    parser.add_argument("--last", type=count, default=50, metavar="N", help="so many (default: %(default)s)")
    parser.set_defaults(run=_events)


def add_retry(parser: argparse.ArgumentParser) -> None:
    """What to try again."""
    parser.add_argument("id", help="of a load balancer, of anything that belongs to one, or of an amphora")
    parser.set_defaults(run=_retry)


def add_orphans(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments of its own."""
    parser.set_defaults(run=_orphans)


def _events(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import events
    from livia.ops.tables import console

    if lacking := without_database(installation):
        return fail(lacking)
    if not events.show(installation, console(), options.load_balancer, options.last):
        of = "" if options.load_balancer is None else f" of a load balancer {options.load_balancer}"
        print(f"There are no events{of}.")
    return 0


def _retry(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.services.context import Refused
    from livia.services.retry import retry

    if lacking := without_database(installation):
        return fail(lacking)
    try:
        print(retry(installation.database(), installation.clock, options.id))
    except Refused as error:
        return fail(error.text)
    return 0


def _orphans(installation: "Installation", _options: argparse.Namespace) -> int:
    from livia.ops import orphans
    from livia.ops.tables import console

    if lacking := without_database(installation):
        return fail(lacking)
    orphans.show(installation, console())
    return 0
