"""What the commands' parsers have in common."""

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_MOST = 100_000


def command(commands: "Commands", name: str, about: str, *, allow_abbrev: bool = True) -> argparse.ArgumentParser:
    """The parser of a further command, whose --help begins with what the list of commands says of it."""
    return commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=allow_abbrev
    )


def seconds(text: str) -> float:
    """A pause. Raises ArgumentTypeError: with none, or one without an end, nothing would be done in turn."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value


def count(text: str) -> int:
    """How many. Raises ArgumentTypeError for less than one, and for more than anybody reads."""
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST}")
    return int(text)
