"""`livia retry` and `livia orphans`: what is not done, and what is left over."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail, without_database

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add_retry(parser: argparse.ArgumentParser) -> None:
    """What to try again."""
    parser.add_argument("id", help="of a load balancer, of anything that belongs to one, or of an amphora")
    parser.set_defaults(run=_retry)


def add_orphans(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments of its own."""
    parser.set_defaults(run=_orphans)


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
