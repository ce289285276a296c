"""How a command ends when it could not do what was asked."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livia.ops.services import Installation

#: exit status for "it could not be done, and a sentence said why"
FAILED = 1


def fail(sentence: str) -> int:
    """Say why it could not be done; the exit status."""
    print(sentence, file=sys.stderr)
    return FAILED


def known(installation: "Installation") -> bool:
    """Whether there is a database: one that is named, or that of a `livia up`."""
    return bool(installation.settings.database.connection) or installation.state.exists()


def nothing_in(installation: "Installation") -> int:
    """Say that there is nothing to work on; the exit status."""
    return fail(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")
