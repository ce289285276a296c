"""What a listener of each protocol can have (contract 20, sections 4 and 7)."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from livia.core.rules.verdict import ACCEPT, Refuse, Verdict, invalid

PLAIN_HEADERS = frozenset(
    {"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"}
)
TLS_HEADERS = frozenset(
    {
        "X-SSL-Client-Verify",
        "X-SSL-Client-Has-Cert",
        "X-SSL-Client-DN",
        "X-SSL-Client-CN",
        "X-SSL-Issuer",
        "X-SSL-Client-SHA1",
        "X-SSL-Client-Not-Before",
        "X-SSL-Client-Not-After",
    }
)
_HTTP = ("HTTP", "TERMINATED_HTTPS")
_DATAGRAM = ("UDP", "SCTP")
#: attributes that name server certificates
CERTIFICATES = ("default_tls_container_ref", "sni_container_refs")


def headers_fit(protocol: str, headers: Mapping[str, str] | None, *, updating: bool = False) -> Verdict:
    """Rows 9 to 11: which headers a listener of `protocol` can insert."""
    if not headers:
        return ACCEPT
    if updating and protocol in _DATAGRAM:
        return invalid(f"{protocol} protocol listener does not support TLS or header insertion")
    if protocol not in _HTTP:
        return Refuse(400, f"insert-headers is not a valid option for a {protocol} protocol listener.")
    unknown = [name for name in headers if name not in PLAIN_HEADERS and name not in TLS_HEADERS]
    if unknown:
        shown = unknown if updating else ", ".join(unknown)
        return Refuse(400, f"{shown} is not a valid option for insert_headers")
    encrypted = [name for name in headers if name in TLS_HEADERS]
    if encrypted and protocol == "HTTP":
        return Refuse(400, f"{encrypted} is not a valid option for HTTP protocol listener.")
    return ACCEPT


def certificates_fit(listener: Mapping[str, Any], given: Mapping[str, Any], *, updating: bool = False) -> Verdict:
    """Rows 12 to 18. `listener`: its values with the request applied; `given`: what the request sets."""
    protocol = listener["protocol"]
    sent = any(given.get(name) for name in CERTIFICATES)
    present = any(listener.get(name) for name in CERTIFICATES)
    if sent and protocol in _DATAGRAM:
        also = " or header insertion" if updating else ""
        return invalid(f"{protocol} protocol listener does not support TLS{also}")
    if sent and protocol not in ("TERMINATED_HTTPS", "PROMETHEUS"):
        return invalid(f"Certificate container references are not allowed on {protocol} protocol listeners.")
    if listener.get("client_ca_tls_container_ref") and not present:
        return invalid(
            "An SNI or default certificate container reference must be provided with a client CA container reference."
        )
    if protocol == "TERMINATED_HTTPS" and not present:
        return invalid(
            "An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol "
            "listeners."
        )
    return _client_authentication_fits(listener)


def _client_authentication_fits(listener: Mapping[str, Any]) -> Verdict:
    if listener.get("client_ca_tls_container_ref"):
        return ACCEPT
    mode = listener.get("client_authentication") or "NONE"
    if mode != "NONE":
        return invalid(f"Client authentication setting {mode} requires a client CA container reference.")
    if listener.get("client_crl_container_ref"):
        return invalid(
            "A client authentication CA reference is required to specify a client authentication revocation list."
        )
    return ACCEPT


def protocol_allowed(protocol: str, *, encrypted: bool, allow_tls: bool, allow_prometheus: bool) -> Verdict:
    """Row 13: what the operator switched off. `encrypted`: the request has a certificate."""
    shown = None
    if (protocol == "TERMINATED_HTTPS" and not allow_tls) or (protocol == "PROMETHEUS" and not allow_prometheus):
        shown = protocol
    elif protocol == "PROMETHEUS" and encrypted and not allow_tls:
        shown = "PROMETHEUS with TLS"
    if shown is None:
        return ACCEPT
    return Refuse(400, f"The selected protocol is not allowed in this deployment: {shown}")


def certificate_allowed(stored: Mapping[str, Any], wanted: Mapping[str, Any], *, allow_tls: bool) -> Verdict:
    """The same where a listener without a certificate gets one. What has one may change it."""
    encrypted = any(wanted.get(name) for name in CERTIFICATES) and not any(stored.get(name) for name in CERTIFICATES)
    return protocol_allowed(
        stored["protocol"], encrypted=encrypted, allow_tls=allow_tls or not encrypted, allow_prometheus=True
    )


def cidrs_fit(cidrs: Iterable[str] | None, vips: Sequence[str], *, security_groups: bool) -> Verdict:
    """Rows 26 and 27. `vips`: every address of the load balancer."""
    if not cidrs:
        return ACCEPT
    versions = {ip_address(vip).version for vip in vips}
    for cidr in cidrs:
        if ip_network(cidr).version not in versions:
            listed = ", ".join(vips)
            return invalid(f"CIDR {cidr} IP version incompatible with all VIPs [{listed}] IP version.")
    if security_groups:
        return invalid("Allowed CIDRs are not allowed when using custom VIP Security Groups.")
    return ACCEPT


def hsts_fits(listener: Mapping[str, Any]) -> Verdict:
    """Rows 32 and 33, on the listener's values with the request applied."""
    age = listener.get("hsts_max_age")
    flags = [name for name in ("hsts_include_subdomains", "hsts_preload") if listener.get(name)]
    if flags and age is None:
        return invalid(
            "HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if "
            "hsts_max_age is set as well; hsts_max_age was not set as well."
        )
    if age is not None and listener["protocol"] != "TERMINATED_HTTPS":
        return invalid("The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol.")
    return ACCEPT
