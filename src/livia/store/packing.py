"""Reading several columns as one: `packed` in the select, `reader` on what comes back."""

from collections.abc import Callable, Iterable
from types import GenericAlias
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Boolean, ColumnElement

#: the values of a row, in the order of its columns
Values: TypeAlias = tuple[Any, ...]


def reader(columns: Iterable[ColumnElement[Any]]) -> Callable[[str], Values]:
    """From the text that `packed` makes of these columns to their values, booleans among them. No times."""
    kinds = tuple(bool | None if isinstance(column.type, Boolean) else Any for column in columns)
    # Not strict: 0 and 1 are booleans where a boolean is wanted.
    return msgspec.json.Decoder(GenericAlias(tuple, kinds), strict=False).decode
