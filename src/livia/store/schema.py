"""The schema's version: Alembic migrations from the first table on, expand and contract only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from livia.store.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

#: the newest revision; a database that has it needs no Alembic at start
HEAD = "0014"
#: what an operator does about a database that is not at it
REMEDY = "Run: octavia-db-manage upgrade head"
_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database holds something that these migrations do not lead to."""


def current(connection: Connection) -> str | None:
    """The revision of the database; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def upgrade(database: Database, revision: str = "head") -> bool:
    """Bring the database to a revision, by default the newest. Whether anything was to do.

    Raises SchemaError for a database with tables that are not ours, or of a later version than this program.
    """
    before = _revision(database)
    if before == HEAD and revision == "head":
        return False
    _run(database, revision)
    return _revision(database) != before


def upgrade_script(database: Database, revision: str = "head") -> None:
    """Print the SQL that would bring an empty database of that kind to a revision. Raises SchemaError."""
    from alembic import command

    config = _config()
    config.attributes["dialect"] = database.url.get_backend_name()
    with _told():
        command.upgrade(config, revision, sql=True)


def stamp(database: Database, revision: str) -> None:
    """Write the revision and change nothing else. Raises SchemaError."""
    from alembic import command

    with database.write() as connection, _told():
        config = _config()
        config.attributes["connection"] = connection
        command.stamp(config, revision)


def history() -> list[tuple[str, str]]:
    """Every revision and what it does, newest first."""
    from alembic.script import ScriptDirectory

    return [(each.revision, each.doc) for each in ScriptDirectory.from_config(_config()).walk_revisions()]


def check(database: Database, remedy: str = REMEDY) -> None:
    """Raise SchemaError, with what helps, unless the database is at the newest revision."""
    path = database.url.database
    if database.url.get_backend_name() == "sqlite" and not (path and Path(path).exists()):
        # Connecting would make an empty file.
        raise SchemaError(f"The database {database.url!r} does not exist. {remedy}")
    revision = _revision(database)
    if revision is None:
        raise SchemaError(f"The database {database.url!r} is empty. {remedy}")
    if revision != HEAD:
        raise SchemaError(f"The database {database.url!r} is at revision {revision}, and {HEAD} is needed. {remedy}")


def _revision(database: Database) -> str | None:
    """The revision, which is one that these migrations have, or None for an empty database. Raises SchemaError."""
    with database.read() as connection:
        revision = current(connection)
        foreign = revision is None and inspect(connection).has_table("load_balancer")
    if foreign:
        raise SchemaError(f"The database {database.url!r} has tables, and no version that says whose they are.")
    if revision is not None and not list((_MIGRATIONS / "versions").glob(f"{revision}_*.py")):
        raise SchemaError(
            f"The database {database.url!r} is at revision {revision}, which this program does not know: "
            "it was written by a later version, or by another program."
        )
    return revision


def _run(database: Database, revision: str) -> None:
    from alembic import command

    with database.write() as connection, _told():
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _config() -> "Config":
    from alembic.config import Config  # a fifth of a second, and only a database that changes needs it

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config


@contextmanager
def _told() -> Iterator[None]:
    """Alembic's own complaints, such as of a revision that there is not, as ours."""
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        raise SchemaError(f"{error}.") from error
