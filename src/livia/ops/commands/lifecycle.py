"""`livia up`, `livia down`, `livia status`: everything at once."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import FAILED, fail, without_database, without_livia

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add_up(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments of its own."""
    parser.set_defaults(run=_up)


def add_down(parser: argparse.ArgumentParser) -> None:
    """What of it stays."""
    parser.add_argument("--purge", action="store_true", help="remove the state directory too")
    parser.set_defaults(run=_down)


def add_status(parser: argparse.ArgumentParser) -> None:
    """How much of it."""
    parser.add_argument(
        "--all", action="store_true", help="also, of many, the load balancers and amphorae that call for no look"
    )
    parser.set_defaults(run=_status)


def _up(installation: "Installation", _options: argparse.Namespace) -> int:
    from livia.ops import up

    try:
        up.up(installation)
    except up.CannotStartError as error:
        return fail(str(error))
    return 0


def _down(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import down

    if lacking := without_livia(installation):
        # Nothing is what was asked for.
        print(lacking)
        return 0
    try:
        down.down(installation, purge=options.purge)
    except down.CannotEndError as error:
        return fail(str(error))
    directory = installation.state.directory
    if options.purge:
        print(f"Livia in {directory} is gone, with its load balancers, keys and logs.")
    else:
        print(f"Livia in {directory} has ended and serves no traffic: 'livia up' brings its load balancers back.")
    return 0


def _status(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.ops import status
    from livia.ops.tables import console

    if lacking := without_database(installation):
        return fail(lacking)
    return 0 if status.show(installation, console(), everything=options.all) else FAILED
