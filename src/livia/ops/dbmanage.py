"""`octavia-db-manage`: the schema of the database that octavia.conf names (contract 90, section 0)."""

import argparse
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from livia.ops.programs import CannotRunError, database_of, parser, run
from livia.ops.settings import Settings
from livia.store import schema
from livia.store.engine import Database

_Act: TypeAlias = Callable[[Database, argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    return run(_parser(), arguments, _manage)


def _parser() -> argparse.ArgumentParser:
    program = parser("octavia-db-manage", "Make and change the tables of the database.")
    commands = program.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, act: _Act, about: str) -> argparse.ArgumentParser:
        found: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
        found.set_defaults(act=act)
        return found

    upgrade = command("upgrade", _upgrade, "bring the database to a revision")
    upgrade.add_argument("revision", nargs="?", help="a revision, or head (default)")
    upgrade.add_argument("--delta", type=int, metavar="N", help="go N revisions on instead")
    upgrade.add_argument("--sql", action="store_true", help="print the SQL for an empty database, and change nothing")
    command("upgrade_persistence", _upgrade_persistence, "nothing to do: kept so that deployment tools find it")
    command("current", _current, "the revision of the database")
    command("history", _history, "all revisions, newest first")
    command("branches", _branches, "revisions that more than one follows: there are none")
    command("check_migration", _check_migration, "whether the revisions of this program are in one line")
    command("stamp", _stamp, "write a revision into the database, and change nothing else").add_argument("revision")
    command("downgrade", _downgrade, "refused").add_argument("revision", nargs="?")
    command("revision", _revision, "refused")
    return program


def _manage(settings: Settings, options: argparse.Namespace) -> None:
    database = database_of(settings)
    act: _Act = options.act
    try:
        act(database, options)
    except SQLAlchemyError as error:
        raise CannotRunError(database.about(error)) from error
    finally:
        database.close()


def _upgrade(database: Database, options: argparse.Namespace) -> None:
    if options.delta is not None and (options.revision or options.delta < 1):
        raise CannotRunError("upgrade takes a revision, or --delta with the number of revisions to go on.")
    revision = options.revision or (f"+{options.delta}" if options.delta else "head")
    if options.sql:
        schema.upgrade_script(database, revision)
        return
    changed = schema.upgrade(database, revision)
    print(f"The database is at {_revision_of(database)}{'' if changed else ' already'}.")


def _upgrade_persistence(_database: Database, _options: argparse.Namespace) -> None:
    print("Nothing to do: no flows are kept, so there is no database for them.")


def _current(database: Database, _options: argparse.Namespace) -> None:
    revision = _revision_of(database)
    print(f"{revision} (head)" if revision == schema.HEAD else revision or "The database is empty.")


def _revision_of(database: Database) -> str | None:
    with database.read() as connection:
        return schema.current(connection)


def _history(_database: Database, _options: argparse.Namespace) -> None:
    for revision, about in schema.history():
        print(f"{revision}  {about}")


def _branches(_database: Database, _options: argparse.Namespace) -> None:
    """Nothing to print: migrations are one line."""


def _check_migration(_database: Database, _options: argparse.Namespace) -> None:
    newest = schema.history()[0][0]
    if newest != schema.HEAD:
        raise CannotRunError(f"This program names {schema.HEAD} as its newest revision, and its migrations {newest}.")


def _stamp(database: Database, options: argparse.Namespace) -> None:
    schema.stamp(database, options.revision)
    print(f"The database is at {_revision_of(database)}.")


def _downgrade(_database: Database, _options: argparse.Namespace) -> None:
    raise CannotRunError("There is no way back to an earlier schema: restore a dump of the database.")


def _revision(_database: Database, _options: argparse.Namespace) -> None:
    raise CannotRunError("Migrations come with the program: docs/development.md says how to write one.")
