"""`livia canary` and `livia demo`: load balancers that are made to see, or to show, whether all of it works."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import FAILED, fail, without_database
from livia.ops.commands.parsing import seconds

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add_canary(parser: argparse.ArgumentParser) -> None:
    """Once, or how often."""
    parser.add_argument(
        "--every", type=seconds, metavar="SECONDS", help="stay, and do so again and again, with metrics of it"
    )
    parser.set_defaults(run=_canary)


def add_demo(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments of its own."""
    parser.set_defaults(run=_demo)


def _canary(installation: "Installation", options: argparse.Namespace) -> int:
    import logging

    from livia.ops import logs
    from livia.ops.canary import service
    from livia.ops.processes import stopped_by_signal

    if lacking := without_database(installation):
        return fail(lacking)
    # What is printed says how it goes.
    logs.configure(json=False, level=logging.WARNING)

    def said(line: str) -> None:
        print(line, flush=True)

    try:
        if options.every is not None:
            service.stay(installation, options.every, stopped_by_signal(), said)
            return 0
        return 0 if service.once(installation, said) else FAILED
    except service.CanaryError as error:
        return fail(str(error))


def _demo(installation: "Installation", _options: argparse.Namespace) -> int:
    from livia.ops.demo.play import play

    if installation.settings.access.auth_strategy != "noauth":
        return fail("The demo has no password: it needs [api_settings] auth_strategy = noauth.")
    return play(installation)
