"""Health monitors: types, pools and HTTP details (contract 40, sections 4 to 6)."""

from collections.abc import Collection

from livia.core.rules.verdict import ACCEPT, Refuse, Verdict, invalid

HTTP_TYPES = ("HTTP", "HTTPS")
#: attributes that only HTTP and HTTPS monitors have, with the defaults they get there
HTTP_DEFAULTS = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
_CONNECTIONLESS = ("UDP", "SCTP")
_CONNECTIONLESS_TYPES = ("UDP-CONNECT", "SCTP", "TCP", "HTTP")
_CONNECTIONLESS_ONLY = ("UDP-CONNECT", "SCTP")


def type_allowed(kind: str, *, allow_ping: bool) -> Verdict:
    """Whether the deployment wants such monitors at all."""
    if kind == "PING" and not allow_ping:
        return Refuse(400, "The selected type is not allowed in this deployment: PING")
    return ACCEPT


def type_fits_pool(kind: str, pool_protocol: str) -> Verdict:
    """Whether members of such a pool can be checked this way."""
    if pool_protocol in _CONNECTIONLESS and kind not in _CONNECTIONLESS_TYPES:
        return invalid(
            f"The associated pool protocol is {pool_protocol}, so only a "
            f"{'/'.join(_CONNECTIONLESS_TYPES)} health monitor is supported."
        )
    if pool_protocol not in _CONNECTIONLESS and kind in _CONNECTIONLESS_ONLY:
        return invalid(f"The {kind} type is only supported for pools of type UDP/SCTP.")
    return ACCEPT


def delay_is_long_enough(kind: str, delay: int, least: int) -> Verdict:
    """UDP-CONNECT waits for a refusal, so its checks must be `least` seconds apart; negative: no limit."""
    if kind == "UDP-CONNECT" and least >= 0 and delay < least:
        return invalid(
            f"The request delay value {delay} should be larger than {least} for UDP-CONNECT health monitor type."
        )
    return ACCEPT


def http_attributes_fit(kind: str, given: Collection[str]) -> Verdict:
    """`given`: which of the HTTP-only attributes the request sets."""
    if given and kind not in HTTP_TYPES:
        names = ", ".join(sorted(given))
        return Refuse(400, f"{names} is not a valid option for health monitors of type {kind}")
    return ACCEPT


def domain_fits_version(domain_name: str | None, http_version: float | None) -> Verdict:
    """A domain name is sent in the Host header, which HTTP has since 1.1."""
    if domain_name is None:
        return ACCEPT
    if http_version is None:
        return Refuse(400, "'http_version' must be specified when 'domain_name' is provided.")
    if http_version < 1.1:
        return Refuse(
            400,
            f"http_version {http_version} is not a valid option for health monitors HTTP 1.1 domain name health check",
        )
    return ACCEPT
