"""The `livia` command."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from livia.ops.commands import ca, host, lifecycle, network, secret, trials, upkeep, user
from livia.ops.commands.outcome import INTERRUPTED, about_file, fail
from livia.ops.commands.parsing import command
from livia.ops.octavia_conf import load
from livia.ops.settings import SettingsError
from livia.ops.state import DEFAULT_STATE_DIRECTORY, State

#: name, what it is for, and what adds its arguments and `run(installation, options) -> exit status` to its parser
_COMMANDS = (
    ("up", "start everything and stay", lifecycle.add_up),
    ("down", "end the services, remove namespaces, bridges and processes", lifecycle.add_down),
    ("status", "services, hosts, load balancers, amphorae", lifecycle.add_status),
    ("events", "what became of load balancers, and why", upkeep.add_events),
    ("retry", "try now what is not done yet, instead of after a pause", upkeep.add_retry),
    (
        "canary",
        "create, use, fail over and delete a load balancer in a project of its own, and say how it went",
        trials.add_canary,
    ),
    ("orphans", "ports, amphorae and rests of them that nobody owns", upkeep.add_orphans),
    ("demo", "make a load balancer, break it, change it, and show what clients see", trials.add_demo),
    ("host", "amphora hosts: added, emptied for maintenance, forgotten when lost", host.add),
    ("network", "local networks", network.add),
    ("secret", "certificates and keys that listeners and pools name", secret.add),
    ("ca", "the authorities by which agents and controllers know each other", ca.add),
    ("user", "who may log in with auth_strategy = http_basic", user.add),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        # Also in the midst of imports, which are half of a start.
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    try:
        settings, warnings = load(options.config_file)
    except SettingsError as error:
        return fail(str(error))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    # Imported only now: `livia --help` and a mistyped command answer at once.
    from sqlalchemy.exc import SQLAlchemyError

    from livia.ops.services import Installation

    installation = Installation(State(options.state_directory), settings)
    try:
        status: int = options.run(installation, options)
    except SQLAlchemyError as error:
        return fail(installation.database().about(error))
    except SettingsError as error:
        return fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return fail(about_file(installation, error))
    return status


def parser() -> argparse.ArgumentParser:
    """Of every command."""
    found = argparse.ArgumentParser(prog="livia", description="Load balancing as a service.")
    found.add_argument("--version", action="version", version=f"livia {version('livia')}")
    found.add_argument(
        "--state-directory",
        type=Path,
        default=DEFAULT_STATE_DIRECTORY,
        metavar="DIRECTORY",
        help="where everything is kept (default: %(default)s)",
    )
    found.add_argument(
        "--config-file",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="an octavia.conf; may be given several times",
    )
    commands = found.add_subparsers(required=True, metavar="COMMAND")
    for name, about, add in _COMMANDS:
        add(command(commands, name, about))
    return found


if __name__ == "__main__":
    sys.exit(main())
