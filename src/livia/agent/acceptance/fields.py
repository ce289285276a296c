"""Parts of specs that many objects have."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_interface

from livia.agent.errors import InvalidSpecError

#: contract 20, section 4.2: 24 days, which is also what HAProxy's 31-bit millisecond timers hold
LONGEST = 2073600000


def unique(what: str, values: Iterable[str]) -> None:
    present = list(values)
    if len(set(present)) != len(present):
        twice = next(value for value in present if present.count(value) > 1)
        raise InvalidSpecError(f"The {what} {twice} is in the spec twice.")


def address(text: str, what: str) -> None:
    try:
        ip_address(text)
    except ValueError as error:
        raise InvalidSpecError(f"The {what} {text[:80]!r} is no IP address.") from error
    if "%" in text:
        raise InvalidSpecError(f"The {what} {text[:80]!r} has a zone.")


def network(text: str, what: str) -> None:
    try:
        ip_interface(text)
    except ValueError as error:
        raise InvalidSpecError(f"The {what} {text[:80]!r} is no address with a prefix length.") from error
    address(text.partition("/")[0], what)


def between(value: int, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise InvalidSpecError(f"The {what} is {least} to {most}, not {value}.")
