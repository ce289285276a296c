"""How a command ends when it could not do what was asked."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livia.ops.services import Installation

#: exit status for "it could not be done, and a sentence said why"
FAILED = 1
#: what a shell reports of a program that Ctrl-C ended
INTERRUPTED = 130


def fail(sentence: str) -> int:
    """Say why it could not be done; the exit status."""
    print(sentence, file=sys.stderr)
    return FAILED


def without_livia(installation: "Installation") -> str | None:
    """Why there is no state directory to work on, in a sentence; None when there is one."""
    if installation.state.exists():
        return None
    return f"There is no Livia in {installation.state.directory}: 'livia up' makes one."


def without_database(installation: "Installation") -> str | None:
    """Why there is no database to work on, in a sentence: neither one that is named nor that of a `livia up`, or one
    whose tables are not of this version. None when there is one."""
    from livia.store import schema

    named = bool(installation.settings.database.connection)
    if not named and (lacking := without_livia(installation)):
        return lacking
    database = installation.database()
    try:
        # The tables of a state directory are nobody's to change but its services'.
        schema.check(database, schema.REMEDY if named else "'livia up' makes it so when it starts.")
    except schema.SchemaError as error:
        return str(error)
    finally:
        database.close()
    return None


def about_file(installation: "Installation", error: OSError) -> str:
    """What the matter is with the file that an error names, in a sentence that says what to do."""
    what = f"{error.filename} cannot be used: {error.strerror}."
    if isinstance(error, PermissionError):
        return f"{what} Livia's files are root's: run the same command with sudo."
    return f"{what} Livia keeps everything in {installation.state.directory}, or where --state-directory says."
