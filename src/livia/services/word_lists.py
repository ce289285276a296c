"""Attributes that are lists of words on the wire and one text in a column: TLS versions and ALPN protocols."""

from collections.abc import Mapping
from typing import Any

_NAMES = ("tls_versions", "alpn_protocols")


def packed(values: Mapping[str, Any]) -> dict[str, str | None]:
    """The columns of those that `values` of the wire have; NULL for none."""
    return {name: ",".join(values[name]) if values[name] else None for name in _NAMES if name in values}


def unpacked(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those that a row has words of, as on the wire."""
    return {name: row[name].split(",") for name in _NAMES if row.get(name)}
