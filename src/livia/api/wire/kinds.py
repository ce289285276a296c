"""Kinds of values: what the API accepts for each, and what it makes of it (contract 00, section 4).

`convert` returns the value as stored, or raises ValueError with the reason that the fault string ends with.
The conversions are as lenient as clients have come to rely on. `schema` is the JSON Schema (2020-12) of what is
sent and shown: it says what to send, and leaves out the spellings that are merely put up with.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NUMERAL = re.compile(r"\s*[+-]?[0-9]{1,30}\s*")
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})
#: what `UrlPath` takes, as a regular expression of JSON Schema (ECMA-262)
_URL_PATH = r"^/([!-.0-~][!-~]*)?$"
#: the largest number that every database holds in its integer columns
LARGEST_INTEGER = 2**31 - 1
#: the same for big integers
LARGEST_BIG_INTEGER = 2**63 - 1


class Kind(Protocol):
    """One kind of value."""

    def convert(self, value: Any) -> Any:
        """The value as stored. Raises ValueError(reason)."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of a value."""


class Text(Struct, frozen=True):
    """A string of at most `longest` characters; `pattern` must match all of it."""

    longest: int = 255
    pattern: str | None = None
    shortest: int = 0

    def convert(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("Value should be string")
        # PostgreSQL stores no NUL character.
        if "\x00" in value:
            raise ValueError("Value should be string without NUL characters")
        if len(value) > self.longest:
            raise ValueError(f"Value should have a maximum character requirement of {self.longest}")
        if len(value) < self.shortest:
            raise ValueError(f"Value should have a minimum character requirement of {self.shortest}")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ValueError(f"Value should match the pattern {self.pattern}")
        return value

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "maxLength": self.longest}
        if self.shortest:
            schema["minLength"] = self.shortest
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema


class Integer(Struct, frozen=True):
    """A whole number, with `among` one of a few; numerals, fractions (cut off) and booleans are taken for one."""

    least: int | None = None
    most: int = LARGEST_INTEGER
    among: tuple[int, ...] = ()

    def convert(self, value: Any) -> int:
        number = _whole(value)
        if self.least is not None and number < self.least:
            raise ValueError(f"Value should be greater or equal to {self.least}")
        if self.least is None and number < -self.most - 1:
            raise ValueError(f"Value should be greater or equal to {-self.most - 1}")
        if number > self.most:
            raise ValueError(f"Value should be lower or equal to {self.most}")
        if self.among and number not in self.among:
            raise ValueError(f"Value should be one of: {', '.join(map(str, self.among))}")
        return number

    def schema(self) -> dict[str, Any]:
        if self.among:
            return {"type": "integer", "enum": list(self.among)}
        least = -self.most - 1 if self.least is None else self.least
        return {"type": "integer", "minimum": least, "maximum": self.most}


class Boolean(Struct, frozen=True):
    """True or false; any number and the usual lower-case words are taken for one."""

    def convert(self, value: Any) -> bool:
        if isinstance(value, int):
            return bool(value)
        if isinstance(value, str) and value in _TRUE:
            return True
        if isinstance(value, str) and value in _FALSE:
            return False
        raise ValueError("Value should be a boolean")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Uuid(Struct, frozen=True):
    """A UUID in any spelling, kept in lower case with dashes."""

    def convert(self, value: Any) -> str:
        if isinstance(value, str):
            if _CANONICAL_UUID.fullmatch(value):
                return value
            try:
                return str(UUID(value))
            except ValueError:
                pass
        raise ValueError("Value should be UUID format")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "uuid"}


class IpAddress(Struct, frozen=True):
    """An IPv4 or IPv6 address, kept as it is spelt (contract 00, section 4: clients compare the text)."""

    def convert(self, value: Any) -> str:
        if isinstance(value, str) and "%" not in value:
            try:
                ip_address(value)
            except ValueError:
                pass
            else:
                return value
        raise ValueError("Value should be IPv4 or IPv6 format")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}


class Cidr(Struct, frozen=True):
    """A network; host bits are masked, a bare address is a network of one."""

    def convert(self, value: Any) -> str:
        if isinstance(value, str) and "%" not in value:
            try:
                return str(ip_network(value, strict=False))
            except ValueError:
                pass
        raise ValueError("Value should be IPv4 or IPv6 CIDR format")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "cidr"}


class Choice(Struct, frozen=True):
    """One of a few words, case and all. `reason` replaces the usual text."""

    words: tuple[str, ...]
    reason: str | None = None

    def convert(self, value: Any) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        raise ValueError(self.reason or f"Value should be one of: {', '.join(self.words)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [str(each) for each in self.words]}


class Decimal(Struct, frozen=True):
    """One of a few fractions, as a number or a numeral."""

    numbers: tuple[float, ...]

    def convert(self, value: Any) -> float:
        try:
            number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
        except (ValueError, OverflowError):
            number = None
        if number in self.numbers:
            return float(number or 0)
        raise ValueError(f"Value should be one of: {', '.join(map(str, self.numbers))}")

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "enum": list(self.numbers)}


class UrlPath(Struct, frozen=True):
    """What follows the host in a URL: an absolute path, perhaps with query and fragment (contract 40, section 3.2)."""

    longest: int = 255

    def convert(self, value: Any) -> str:
        text = Text(self.longest).convert(value)
        if not text.startswith("/") or text.startswith("//"):
            raise ValueError("Value should be a valid URL path that starts with /")
        if re.search(r"[\s\x00-\x20\x7f-\x9f]", text):
            raise ValueError("Value should be a valid URL path without white space")
        if not text.isascii():
            # RFC 3986, section 2.1, and what a request to a member can hold (RFC 9112, section 3.2).
            raise ValueError("Value should be a valid URL path, in which all but ASCII is percent-encoded")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.longest, "pattern": _URL_PATH}


#: RFC 3986: unreserved, percent-encoded and sub-delims, which every part of a URL may have
_URL_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_ABSOLUTE_URL = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]?://"
    rf"(?:(?:{_URL_CHARACTER}|:)*@)?"
    rf"(?P<host>{_URL_CHARACTER}+|\[(?P<ipv6>[0-9A-Fa-f:.]+)\])(?::(?P<port>[0-9]*))?"
    rf"(?:/(?:{_URL_CHARACTER}|[:@/])*)?"
    r"(?:[?#].*)?"
)


class Url(Struct, frozen=True):
    """An absolute http or https URL (contract 50, section 1.5)."""

    longest: int = 255

    def convert(self, value: Any) -> str:
        text = Text(self.longest).convert(value)
        found = None if re.search(r"[\s\x00-\x20\x7f-\x9f]", text) else _ABSOLUTE_URL.fullmatch(text)
        if found is None or len(found["port"] or "") > 5 or int(found["port"] or 0) > 65535:
            raise ValueError("Not a valid URL")
        if found["ipv6"] is not None:
            try:
                IPv6Address(found["ipv6"])
            except ValueError as error:
                raise ValueError("Not a valid URL") from error
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "uri", "maxLength": self.longest, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}


class Sequence(Struct, frozen=True):
    """A list; `distinct` lets repeated elements count once."""

    element: Kind
    distinct: bool = False

    def convert(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValueError("Value should be a list")
        converted = [self.element.convert(each) for each in value]
        return list(dict.fromkeys(converted)) if self.distinct else converted

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.element.schema()}


class TextMap(Struct, frozen=True):
    """An object of strings."""

    longest: int = 255

    def convert(self, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValueError("Value should be an object")
        text = Text(self.longest)
        return {text.convert(name): text.convert(each) for name, each in value.items()}

    def schema(self) -> dict[str, Any]:
        text = Text(self.longest).schema()
        return {"type": "object", "propertyNames": {"maxLength": self.longest}, "additionalProperties": text}


def _whole(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value)
    if isinstance(value, str) and _NUMERAL.fullmatch(value):
        return int(value)
    raise ValueError("Value should be an integer")
