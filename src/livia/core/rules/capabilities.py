"""Which providers there are, and what the built-in one's data plane can do."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from livia.core.rules.tls import GAP
from livia.core.rules.verdict import ACCEPT, Refuse, Verdict

#: names under which the built-in provider goes (contract 90, `enabled_provider_drivers`)
BUILT_IN_PROVIDERS = frozenset({"amphora", "amphorav2", "octavia"})
#: the provider of a load balancer that names none
DEFAULT_PROVIDER = "amphora"
#: providers that accept everything and do nothing: their load balancers stay PENDING (contract 97, section 8)
NOOP_PROVIDERS = frozenset({"noop_driver", "noop_driver-alt"})
#: those that can be loaded
PROVIDERS = BUILT_IN_PROVIDERS | NOOP_PROVIDERS

#: pools of UDP and SCTP are balanced by other means than those of connections: they have limits of their own
DATAGRAM_POOL = "UDP or SCTP pool"
_POOL_TLS = ("tls_enabled", "tls_container_ref", "ca_tls_container_ref", "crl_container_ref")

#: object type, attribute, and the values (of a list: its items) that the data plane has; None: it must be empty
Limit: TypeAlias = tuple[str, str, frozenset[str] | None]
Limits: TypeAlias = tuple[Limit, ...]

#: what passes through is not read, and so no cookie in it (contract 30, section A4: drivers may refuse)
COOKIES_UNREAD: Limit = ("byte stream", "session_persistence", frozenset({"SOURCE_IP"}))

#: a data plane that takes everything: the no-op one
NO_LIMITS: Limits = ()
#: OpenSSL is built without SSLv3 since its version 1.1
_TLS_VERSIONS = frozenset({"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"})
_ALPN = frozenset({"h2", "http/1.1", "http/1.0"})
#: amphorae of this program's agent. What is left cannot be had here: SR-IOV ports of a host, SSLv3, gaps in versions.
AGENT_LIMITS: Limits = (
    ("load balancer", "vip_vnic_type", frozenset({"normal"})),
    ("member", "request_sriov", None),
    ("listener", "tls_versions", _TLS_VERSIONS),
    ("pool", "tls_versions", _TLS_VERSIONS),
    # HAProxy takes the oldest and the newest (manual, section 5.1, ssl-min-ver).
    ("listener", GAP, None),
    ("pool", GAP, None),
    ("listener", "alpn_protocols", _ALPN),
    ("pool", "alpn_protocols", _ALPN),
    *((DATAGRAM_POOL, attribute, None) for attribute in _POOL_TLS),
    COOKIES_UNREAD,
)
#: what the built-in provider refuses whatever data plane it has (contract 50, section 1.7)
_ALWAYS: Limits = (("l7 policy", "listener_protocol", frozenset({"HTTP", "TERMINATED_HTTPS"})),)


def supported(limits: Limits, provider: str, kind: str, values: Mapping[str, Any]) -> Verdict:
    """Whether a data plane of these limits can do `values` (what a request sets) on an object of `kind`."""
    if provider in NOOP_PROVIDERS:
        return ACCEPT
    for subject, attribute, able in (*limits, *_ALWAYS):
        value = values.get(attribute)
        if subject != kind or not value:
            continue
        asked = value if isinstance(value, (list, tuple)) else (value,)
        lacking = [str(each) for each in asked if able is None or each not in able]
        if not lacking:
            continue
        wanted = f"{attribute} {', '.join(lacking)}" if able is not None else attribute
        choices = f" (it does {', '.join(sorted(able))})" if able is not None else ""
        return unavailable(provider, f"{subject} with {wanted} is not available{choices}.")
    return ACCEPT


def unavailable(provider: str, reason: str) -> Verdict:
    """The refusal of what the built-in data plane cannot do; the no-op providers' takes everything."""
    if provider in NOOP_PROVIDERS:
        return ACCEPT
    return Refuse(501, f"Provider '{provider}' does not support a requested option: {reason}")


def pool_kind(protocol: str) -> str:
    """The kind whose limits a pool has."""
    return DATAGRAM_POOL if protocol in ("UDP", "SCTP") else "pool"
