"""Session persistence of a pool (contract 30, section A4)."""

import re
from collections.abc import Mapping
from typing import Any

from livia.core.rules.verdict import ACCEPT, Verdict, invalid

_CONNECTIONLESS = ("UDP", "SCTP")
#: what a cookie name must not contain (RFC 6265 section 4.1.1: a token of RFC 2616 section 2.2)
_NOT_A_TOKEN = re.compile(r'[\x00-\x20"(),/:;<=>?@\[\\\]{}\x7f-\U0010ffff]')
#: of listeners and pools: what passes through is not read
BYTE_STREAMS = frozenset({"TCP", "HTTPS"})
_KEYS = ("type", "cookie_name", "persistence_timeout", "persistence_granularity")


def merged(stored: Mapping[str, Any] | None, wanted: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a PUT makes of the stored persistence: the type stays unless given, the rest is replaced as a whole."""
    if wanted is None:
        return None
    result = {key: wanted.get(key) for key in _KEYS}
    if result["type"] is None and stored is not None:
        result["type"] = stored["type"]
    return result


def acceptable(protocol: str, persistence: Mapping[str, Any] | None, *, updating: bool = False) -> Verdict:
    """Whether a pool of `protocol` can have this persistence (its four keys; None: no persistence)."""
    if persistence is None:
        return ACCEPT
    if not persistence.get("type"):
        return invalid("Invalid session_persistence provided.")
    if protocol in _CONNECTIONLESS:
        return _connectionless(persistence)
    if persistence.get("persistence_timeout") or persistence.get("persistence_granularity"):
        protocols = "UDP" if updating else "UDP and SCTP"
        return invalid(f"persistence_timeout and persistence_granularity is only for {protocols} protocol pools.")
    return _cookie(persistence)


def unheard(protocol: str, persistence: Mapping[str, Any] | None) -> str | None:
    """Why a data plane of the limit `COOKIES_UNREAD` cannot do it; None: it can.

    `protocol`: of the pool, or of a listener that uses it. Cookies are HTTP's.
    """
    kind = None if persistence is None else persistence["type"]
    if protocol not in BYTE_STREAMS or kind in (None, "SOURCE_IP"):
        return None
    return f"session persistence of type {kind} needs cookies, and {protocol} is passed on unread. SOURCE_IP works."


def _cookie(persistence: Mapping[str, Any]) -> Verdict:
    name = persistence.get("cookie_name")
    if persistence["type"] != "APP_COOKIE":
        if name:
            return invalid('Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".')
        return ACCEPT
    if not name:
        return invalid('Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.')
    if _NOT_A_TOKEN.search(name):
        return invalid('Supplied "cookie_name" is invalid.')
    return ACCEPT


def _connectionless(persistence: Mapping[str, Any]) -> Verdict:
    kind, name = persistence["type"], persistence.get("cookie_name")
    if name and kind == "SOURCE_IP":
        return invalid(
            "Session persistence of type SOURCE_IP for UDP and SCTP protocols only accepts: "
            "type, persistence_timeout, persistence_granularity."
        )
    if name:
        return invalid("Cookie names are not supported for UDP/SCTP pools.")
    if kind != "SOURCE_IP":
        return invalid(f"Session persistence of type {kind} is not supported for UDP/SCTP protocol pools.")
    return ACCEPT
