"""Listeners on the wire (contract 20, section 2)."""

from typing import Any

from livia.api.wire import common
from livia.api.wire.attribute import Attribute, Nested, Null, Resource, Setting
from livia.api.wire.kinds import (
    LARGEST_BIG_INTEGER,
    AnyObject,
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


def _timeout(name: str) -> Attribute:
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
    )


def _option(name: str, kind: Kind, since: str, **more: Any) -> Attribute:
    defaults: dict[str, Any] = {"filtered": True, "sorted": True}
    return Attribute(name=name, kind=kind, create=True, update=True, since=since, **{**defaults, **more})


def _flag(name: str) -> Attribute:
    return _option(name, Boolean(), "2.27", default=False, on_update_null=Null.DEFAULT, render=common.flag)


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
            name="loadbalancer_id", kind=Uuid(), create=True, required=True, on_create_null=Null.CLEAR, shown=False
        ),
        Attribute(name="loadbalancers", render=common.reference),
        Attribute(
            name="protocol",
            kind=Choice(tuple(ListenerProtocol)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
        ),
        Attribute(
            name="protocol_port",
            kind=Integer(1, 65535),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
        ),
        _option("connection_limit", Integer(-1, LARGEST_BIG_INTEGER), "2.0", default=-1, on_update_null=Null.DEFAULT),
        _option("default_pool_id", Uuid(), "2.0"),
        Attribute(name="default_pool", kind=Nested(_pool, as_given=True), create=True, shown=False),
        Attribute(name="l7policies", kind=Sequence(AnyObject()), create=True, default=[], render=common.references),
        common.text("default_tls_container_ref"),
        _option(
            "sni_container_refs",
            Sequence(Text(255), distinct=True),
            "2.0",
            default=[],
            on_update_null=Null.DEFAULT,
            render=common.texts,
            filtered=False,
            sorted=False,
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
        ),
        *(
            _timeout(name)
            for name in ("timeout_client_data", "timeout_member_connect", "timeout_member_data", "timeout_tcp_inspect")
        ),
        common.TAGS,
        common.text("client_ca_tls_container_ref", since="2.8"),
        _option(
            "client_authentication",
            Choice(tuple(ClientAuthentication)),
            "2.8",
            default="NONE",
            on_update_null=Null.DEFAULT,
        ),
        common.text("client_crl_container_ref", since="2.8"),
        _option(
            "allowed_cidrs",
            Sequence(Cidr(), distinct=True),
            "2.12",
            render=common.words,
            filtered=False,
            sorted=False,
        ),
        _option("tls_ciphers", Text(2048), "2.15"),
        _option("tls_versions", TLS_VERSIONS, "2.17", render=common.words),
        _option("alpn_protocols", ALPN, "2.20", render=common.words, filtered=False),
        _option("hsts_max_age", Integer(0, LARGEST_BIG_INTEGER), "2.27"),
        _flag("hsts_include_subdomains"),
        _flag("hsts_preload"),
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
