"""Listeners (contract 20)."""

from enum import StrEnum

from msgspec import field

from livia.core.model.item import Item
from livia.core.model.l7 import L7Policy


class ListenerProtocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TERMINATED_HTTPS = "TERMINATED_HTTPS"
    UDP = "UDP"
    SCTP = "SCTP"
    PROMETHEUS = "PROMETHEUS"


class ClientAuthentication(StrEnum):
    NONE = "NONE"
    OPTIONAL = "OPTIONAL"
    MANDATORY = "MANDATORY"


class Listener(Item, frozen=True, kw_only=True):
    """Timeouts in milliseconds; `connection_limit` -1 means no limit of its own.

    TLS attributes are as stored: no text, no words or no age mean that nobody has said anything.
    """

    load_balancer_id: str
    protocol: ListenerProtocol
    protocol_port: int
    connection_limit: int = -1
    default_pool_id: str | None = None
    insert_headers: dict[str, str] = field(default_factory=dict)
    timeout_client_data: int = 50000
    timeout_member_connect: int = 5000
    timeout_member_data: int = 50000
    timeout_tcp_inspect: int = 0
    allowed_cidrs: tuple[str, ...] = ()
    default_tls_container_ref: str | None = None
    #: in their order
    sni_container_refs: tuple[str, ...] = ()
    client_authentication: ClientAuthentication = ClientAuthentication.NONE
    client_ca_tls_container_ref: str | None = None
    client_crl_container_ref: str | None = None
    tls_ciphers: str | None = None
    tls_versions: tuple[str, ...] = ()
    alpn_protocols: tuple[str, ...] = ()
    #: seconds
    hsts_max_age: int | None = None
    hsts_include_subdomains: bool = False
    hsts_preload: bool = False
    #: in the order of their positions
    l7policies: tuple[L7Policy, ...] = ()
