"""`livia user`: who may log in with `auth_strategy = http_basic`."""

import getpass
import sys
from collections.abc import Sequence

from rich.console import Console

from livia.api.users import UserFile, UserFileError
from livia.ops.services import Installation
from livia.ops.tables import listing

#: what a user may do who was added without saying: everything in its own project
DEFAULT_ROLES = ("member", "reader")


def add(installation: Installation, name: str, *, project_id: str, roles: Sequence[str]) -> None:
    """Add a user or change one, with a password from the terminal or else the first line of input.

    Raises UserFileError.
    """
    _file(installation).add(name, _password(name), project_id, list(roles or DEFAULT_ROLES))
    if installation.settings.access.auth_strategy != "http_basic":
        print("Nobody is asked for a password yet: set [api_settings] auth_strategy to http_basic.", file=sys.stderr)


def remove(installation: Installation, name: str) -> None:
    """Remove a user. Raises UserFileError."""
    _file(installation).remove(name)


def show_all(installation: Installation, console: Console) -> None:
    """A table of all users. Raises UserFileError."""
    table = listing("user", "project", "roles")
    for user in sorted(_file(installation).read().values(), key=lambda each: each.name):
        table.add_row(user.name, user.project_id or "-", ", ".join(sorted(user.roles)) or "-")
    console.print(table)


def _file(installation: Installation) -> UserFile:
    return UserFile(installation.user_file)


def _password(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass(f"Password of {name}: ")
    if getpass.getpass("The same again: ") != password:
        raise UserFileError("The two passwords differ.")
    return password
