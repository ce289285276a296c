"""`octavia-db-manage`: the schema of the database that octavia.conf names."""

import argparse
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from livia.ops.programs import CannotRunError, database_of, parser, run
from livia.ops.settings import Settings
from livia.store import schema
from livia.store.engine import Database


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    program = parser("octavia-db-manage", "Make and change the tables of the database.")
    commands = program.add_subparsers(required=True, metavar="COMMAND")
    upgrade = commands.add_parser("upgrade", help="bring the database to a revision")
    upgrade.add_argument("revision", nargs="?", default="head", help="(default: %(default)s)")
    upgrade.set_defaults(act=_upgrade)
    current = commands.add_parser("current", help="the revision of the database")
    current.set_defaults(act=_current)
    history = commands.add_parser("history", help="all revisions, newest first")
    history.set_defaults(act=_history)
    return run(program, arguments, _manage)


def _manage(settings: Settings, options: argparse.Namespace) -> None:
    database = database_of(settings)
    try:
        options.act(database, options)
    except SQLAlchemyError as error:
        raise CannotRunError(f"The database {database.url!r} does not do this: {error}") from error
    finally:
        database.engine.dispose()


def _upgrade(database: Database, _options: argparse.Namespace) -> None:
    changed = schema.upgrade(database)
    print(f"The database is at {schema.HEAD}{'' if changed else ' already'}.")


def _current(database: Database, _options: argparse.Namespace) -> None:
    with database.read() as connection:
        revision = schema.current(connection)
    print(revision or "The database is empty.")


def _history(_database: Database, _options: argparse.Namespace) -> None:
    print(schema.HEAD)
