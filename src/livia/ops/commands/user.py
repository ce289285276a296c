"""`livia user`: who may log in with `auth_strategy = http_basic`."""

import argparse
from typing import TYPE_CHECKING

from livia.ops.commands.outcome import fail
from livia.ops.commands.parsing import command

if TYPE_CHECKING:
    from livia.ops.services import Installation


def add(parser: argparse.ArgumentParser) -> None:
    """What can be done with users."""
    parser.set_defaults(run=_user)
    actions = parser.add_subparsers(required=True, dest="action", metavar="ACTION")
    command(actions, "list", "show all users")
    addition = command(actions, "add", "add a user or change one; the password is asked for, or read from stdin")
    addition.add_argument("name", help="by which the user logs in")
    addition.add_argument("--project", default="default", help="id of the user's project (default: %(default)s)")
    addition.add_argument(
        "--role",
        action="append",
        default=[],
        help="admin, member, reader …; several times (default: member and reader)",
    )
    removal = command(actions, "remove", "remove a user")
    removal.add_argument("name", help="as in 'livia user list'")


def _user(installation: "Installation", options: argparse.Namespace) -> int:
    from livia.api.users import UserFileError
    from livia.ops import users
    from livia.ops.tables import console

    try:
        if options.action == "add":
            users.add(installation, options.name, project_id=options.project, roles=options.role)
        elif options.action == "remove":
            users.remove(installation, options.name)
        users.show_all(installation, console())
    except UserFileError as error:
        return fail(str(error))
    return 0
