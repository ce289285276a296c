"""The schema's version: Alembic migrations from the first table on, expand and contract only."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from livia.store.engine import Database

#: the newest revision; a database that has it needs no Alembic at start
HEAD = "0002"
_REMEDY = "Run: octavia-db-manage upgrade head"
_MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database holds something that these migrations do not lead to."""


def current(connection: Connection) -> str | None:
    """The revision of the database; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return revision


def upgrade(database: Database) -> bool:
    """Bring the database to the newest revision. Whether anything was to do.

    Raises SchemaError for a database with tables that are not ours, or of a later version than this program.
    """
    if _revision(database) == HEAD:
        return False
    _run(database)
    return True


def check(database: Database) -> None:
    """Raise SchemaError, with the command that helps, unless the database is at the newest revision."""
    path = database.url.database
    if database.url.get_backend_name() == "sqlite" and not (path and Path(path).exists()):
        # Connecting would make an empty file.
        raise SchemaError(f"The database {database.url!r} does not exist. {_REMEDY}")
    revision = _revision(database)
    if revision is None:
        raise SchemaError(f"The database {database.url!r} is empty. {_REMEDY}")
    if revision != HEAD:
        raise SchemaError(f"The database {database.url!r} is at revision {revision}, and {HEAD} is needed. {_REMEDY}")


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


def _run(database: Database) -> None:
    from alembic import command  # a fifth of a second, and only a new database needs it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
