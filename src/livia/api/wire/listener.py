"""Listeners on the wire (contract 20, section 2)."""

from typing import Any

from livia.api.wire import common, schemas
from livia.api.wire.attribute import Attribute, Nested, Null, Resource, Setting
from livia.api.wire.kinds import (
    LARGEST_BIG_INTEGER,
    Boolean,
    Choice,
    Cidr,
    Integer,
    Kind,
    Sequence,
    Text,
    TextMap,
    Uuid,
)
from livia.core.model.listener import ClientAuthentication, ListenerProtocol

#: 24 days in milliseconds
_LONGEST_TIMEOUT = 2073600000
ALPN = Sequence(Choice(("h2", "http/1.1", "http/1.0"), "Value should be a valid ALPN protocol ID"), distinct=True)
TLS_VERSIONS = Sequence(Text(32), distinct=True)


def _pool() -> Resource:
    from livia.api.wire.pool import POOL

    return POOL


def _l7policy() -> Resource:
    from livia.api.wire.l7policy import L7POLICY

    return L7POLICY


def _timeout(name: str, about: str) -> Attribute:
    return Attribute(
        name=name,
        kind=Integer(0, _LONGEST_TIMEOUT),
        create=True,
        update=True,
        default=Setting(name),
        on_update_null=Null.DEFAULT,
        filtered=True,
        sorted=True,
        since="2.1",
        about=about,
    )


def _option(name: str, kind: Kind, since: str, **more: Any) -> Attribute:
    defaults: dict[str, Any] = {"filtered": True, "sorted": True}
    return Attribute(name=name, kind=kind, create=True, update=True, since=since, **{**defaults, **more})


def _flag(name: str, about: str) -> Attribute:
    return _option(name, Boolean(), "2.27", default=False, on_update_null=Null.DEFAULT, render=common.flag, about=about)


LISTENER = Resource(
    item="listener",
    collection="listeners",
    argument="listener_",
    attributes=(
        common.ID,
        common.NAME,
        common.DESCRIPTION,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        Attribute(
            name="loadbalancer_id",
            kind=Uuid(),
            create=True,
            required=True,
            on_create_null=Null.CLEAR,
            shown=False,
            about="The load balancer it belongs to.",
        ),
        common.LOAD_BALANCERS,
        Attribute(
            name="protocol",
            kind=Choice(tuple(ListenerProtocol)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="What it speaks. HTTPS is passed through, TERMINATED_HTTPS decrypted here (SCTP since 2.23); "
            "PROMETHEUS serves the load balancer's own metrics (since 2.25).",
        ),
        Attribute(
            name="protocol_port",
            kind=Integer(1, 65535),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="The port it listens on. TCP, UDP and SCTP have ports of their own.",
        ),
        _option(
            "connection_limit",
            Integer(-1, LARGEST_BIG_INTEGER),
            "2.0",
            default=-1,
            on_update_null=Null.DEFAULT,
            about="The most connections at one time; -1 or 0 for no limit of its own.",
        ),
        _option(
            "default_pool_id",
            Uuid(),
            "2.0",
            about="The pool that serves what no L7 policy decides; null detaches it.",
        ),
        Attribute(
            name="default_pool",
            kind=Nested(_pool, as_given=True),
            create=True,
            shown=False,
            about="A whole pool, or with only a `name` one of the same request. Only within the POST of a load "
            "balancer.",
        ),
        Attribute(
            name="l7policies",
            kind=Nested(_l7policy, many=True),
            create=True,
            default=[],
            render=common.references,
            shows=schemas.REFERENCES,
            about="The L7 policies by position. Whole ones only within the POST of a load balancer.",
        ),
        common.text(
            "default_tls_container_ref",
            about="Refers to the certificate and key in the secret store; the one for clients that name no server.",
        ),
        _option(
            "sni_container_refs",
            Sequence(Text(255), distinct=True),
            "2.0",
            default=[],
            on_update_null=Null.DEFAULT,
            render=common.texts,
            filtered=False,
            sorted=False,
            about="References to further certificates, chosen by the server name that the client asks for.",
        ),
        _option(
            "insert_headers",
            TextMap(),
            "2.0",
            default={},
            on_update_null=Null.DEFAULT,
            render=common.text_map,
            filtered=False,
            sorted=False,
            about='Headers to add to requests, by name; the value "true" turns one on. A PUT replaces all of them.',
        ),
        _timeout("timeout_client_data", "How long a client may be silent, in milliseconds."),
        _timeout("timeout_member_connect", "How long connecting to a member may take, in milliseconds."),
        _timeout("timeout_member_data", "How long a member may be silent, in milliseconds."),
        _timeout(
            "timeout_tcp_inspect",
            "How long a TCP or HTTPS listener waits for a client to begin before it asks a member, in milliseconds.",
        ),
        common.TAGS,
        common.text(
            "client_ca_tls_container_ref",
            since="2.8",
            about="Refers to the certificate authority whose clients are let in.",
        ),
        _option(
            "client_authentication",
            Choice(tuple(ClientAuthentication)),
            "2.8",
            default="NONE",
            on_update_null=Null.DEFAULT,
            about="Whether clients are asked for a certificate, and whether they must have one.",
        ),
        common.text(
            "client_crl_container_ref", since="2.8", about="Refers to the list of revoked client certificates."
        ),
        _option(
            "allowed_cidrs",
            Sequence(Cidr(), distinct=True),
            "2.12",
            render=common.words,
            filtered=False,
            sorted=False,
            about="Networks whose clients are let in; null: all. A bare address is a network of one.",
        ),
        _option(
            "tls_ciphers",
            Text(2048),
            "2.15",
            about="Ciphers for TLS in OpenSSL's form, parted by colons; unless given, the deployment's.",
        ),
        _option(
            "tls_versions",
            TLS_VERSIONS,
            "2.17",
            render=common.words,
            about="TLS versions: SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3; unless given, the deployment's.",
        ),
        _option(
            "alpn_protocols",
            ALPN,
            "2.20",
            render=common.words,
            filtered=False,
            about="Application protocols offered in the TLS handshake; unless given, the deployment's.",
        ),
        _option(
            "hsts_max_age",
            Integer(0, LARGEST_BIG_INTEGER),
            "2.27",
            about="How long browsers shall insist on HTTPS, in seconds; null turns Strict-Transport-Security off.",
        ),
        _flag("hsts_include_subdomains", "Whether Strict-Transport-Security holds for subdomains as well."),
        _flag("hsts_preload", "Whether browsers may ship the name in their list of HTTPS-only ones."),
        *common.project(),
        *common.TIMES,
    ),
    more_filters={
        "loadbalancer_id": "loadbalancer_id",
        "load_balancer_id": "load_balancer_id",
        "insert_headers": "",
        "alpn_protocols": "",
    },
    nested_without=frozenset({"loadbalancer_id", "project_id", "tenant_id"}),
)
