"""Ciphers, protocol versions and ALPN of listeners and pools (contract 20, rows 19, 20, 28 to 31)."""

import re
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from livia.core.rules.verdict import ACCEPT, Verdict, invalid

#: contract 20, section 4.3
DEFAULT_CIPHERS = ":".join(
    (
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
        "DHE-RSA-CHACHA20-POLY1305",
    )
)
DEFAULT_VERSIONS = ("TLSv1.2", "TLSv1.3")
DEFAULT_ALPN = ("h2", "http/1.1", "http/1.0")
#: oldest first
VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CIPHERS = re.compile(r"[A-Za-z0-9\-+!:@=_.]*")
#: RFC 8446, appendix B.4
_SUITES = frozenset(
    {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    }
)


def ciphers_allowed(ciphers: str | None, prohibited: str) -> Verdict:
    """`prohibited`: the operator's list, joined by colons like `ciphers` itself."""
    if not ciphers:
        return ACCEPT
    if not _CIPHERS.fullmatch(ciphers):
        return invalid("Invalid characters in cipher string: only letters, digits and - + ! : @ = _ . are allowed.")
    refused = [name for name in ciphers.split(":") if name and name in prohibited.split(":")]
    if refused:
        return invalid(f"The following ciphers have been prohibited by an administrator: {', '.join(refused)}")
    classic, modern = split_ciphers(ciphers)
    if (classic and not _selects(":".join(classic))) or (modern and not _SUITES.intersection(modern)):
        return invalid("Invalid cipher string: OpenSSL knows no cipher that it selects.")
    return ACCEPT


def ciphers_usable(ciphers: str | None, versions: Sequence[str] | None) -> Verdict:
    """Whether a list leaves anything to the versions it goes with. None: whatever the deployment has."""
    classic, modern = split_ciphers(ciphers or "")
    if modern and not classic and versions and "TLSv1.3" not in versions:
        return invalid(f"The ciphers are for TLSv1.3 only, and tls_versions has only {', '.join(versions)}.")
    return ACCEPT


def split_ciphers(ciphers: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The list up to TLS 1.2, and the suites of TLS 1.3 (RFC 8446, appendix B.4), which OpenSSL takes apart."""
    names = [name for name in ciphers.split(":") if name]
    modern = tuple(name for name in names if name.startswith("TLS_") and "_WITH_" not in name)
    return tuple(name for name in names if name not in modern), modern


@lru_cache(maxsize=256)
def _selects(ciphers: str) -> bool:
    """Whether OpenSSL, which data planes have too, finds a cipher for TLS 1.2 or earlier in the list."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
    except ssl.SSLError:
        return False
    return True


def versions_allowed(versions: Sequence[str] | None, minimum: str | None) -> Verdict:
    """None is "not given"; an empty list is refused."""
    if versions is None:
        return ACCEPT
    if not versions:
        return invalid("Empty TLS version list. Either specify at least one TLS version or leave the attribute out.")
    unknown = [version for version in versions if version not in VERSIONS]
    if unknown:
        return invalid(f"Invalid TLS versions: {', '.join(unknown)}")
    if minimum:
        old = [version for version in versions if VERSIONS.index(version) < VERSIONS.index(minimum)]
        if old:
            return invalid(f"Requested TLS versions are less than the minimum: {', '.join(old)} < {minimum}")
    return ACCEPT


#: what a data plane may lack: to leave out a version between two others
GAP = "a gap in tls_versions"


def asked_of_data_plane(values: Mapping[str, Any], *, encrypted: bool) -> dict[str, Any]:
    """What versions and protocols mean to a data plane: nothing where there is no encryption."""
    if not encrypted:
        return {"tls_versions": None, "alpn_protocols": None}
    versions = values.get("tls_versions") or ()
    places = [VERSIONS.index(version) for version in versions if version in VERSIONS]
    between = VERSIONS[min(places) : max(places)] if places else ()
    return {GAP: [version for version in between if version not in versions]}


def alpn_allowed(protocols: Sequence[str] | None) -> Verdict:
    """None is "not given"; an empty list is refused."""
    if protocols is not None and not protocols:
        return invalid(
            "Empty ALPN protocol list. Either specify at least one ALPN protocol or leave the attribute out."
        )
    return ACCEPT


def revocation_list_fits(authority: str | None, revocation_list: str | None, *, removing: bool = False) -> Verdict:
    """A pool's CRL needs its CA (contract 30, sections A5 and A6). `removing`: the request takes the CA away."""
    if authority or not revocation_list:
        return ACCEPT
    if removing:
        return invalid("A CA reference cannot be removed when a certificate revocation list is present.")
    return invalid("A CA certificate reference is required to specify a revocation list (CRL).")
