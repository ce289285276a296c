"""Pools on the wire (contract 30, part A)."""

from typing import Any

from livia.api.wire import common, schemas
from livia.api.wire.attribute import Attribute, Nested, Null, Resource
from livia.api.wire.health_monitor import HEALTH_MONITOR
from livia.api.wire.kinds import Boolean, Choice, Integer, IpAddress, Text, Uuid
from livia.api.wire.listener import ALPN, TLS_VERSIONS
from livia.api.wire.member import MEMBER
from livia.core.model.pool import Algorithm, PersistenceType, PoolProtocol

_PERSISTENCE_KEYS = ("type", "cookie_name", "persistence_timeout", "persistence_granularity")


def _finish(pool: dict[str, Any]) -> None:
    persistence = {
        "type": pool.pop("persistence_type"),
        **{key: pool.pop(key) for key in _PERSISTENCE_KEYS[1:]},
    }
    pool["session_persistence"] = None if persistence["type"] is None else persistence
    # The one attribute that is absent rather than null (contract 30, section A2).
    if pool["healthmonitor_id"] is None:
        del pool["healthmonitor_id"]


SESSION_PERSISTENCE = Resource(
    item="session_persistence",
    collection="session_persistence",
    argument="session_persistence",
    attributes=(
        Attribute(
            name="type",
            kind=Choice(tuple(PersistenceType)),
            create=True,
            update=True,
            required=True,
            on_create_null=Null.REFUSE,
            about="What a client is recognised by: its address, a cookie that is added, or the application's own.",
        ),
        Attribute(
            name="cookie_name",
            kind=Text(255, r"[^\s,;\\]*"),
            create=True,
            update=True,
            about="The application's cookie; with APP_COOKIE only, and then needed.",
        ),
        Attribute(
            name="persistence_timeout",
            kind=Integer(),
            create=True,
            update=True,
            since="2.2",
            about="How long a client is remembered, in seconds; UDP and SCTP only.",
        ),
        Attribute(
            name="persistence_granularity",
            kind=IpAddress(),
            create=True,
            update=True,
            since="2.2",
            about="The netmask within which addresses count as one client; UDP and SCTP only.",
        ),
    ),
)


def _persistence() -> Resource:
    return SESSION_PERSISTENCE


def _parent(name: str, about: str) -> Attribute:
    return Attribute(name=name, kind=Uuid(), create=True, on_create_null=Null.OMIT, shown=False, about=about)


POOL = Resource(
    item="pool",
    collection="pools",
    argument="pool_",
    attributes=(
        common.ID,
        common.NAME,
        common.DESCRIPTION,
        *common.STATUSES,
        common.ADMIN_STATE_UP,
        _parent("loadbalancer_id", "The load balancer it belongs to; this or `listener_id` is needed."),
        _parent("listener_id", "The listener whose default pool it becomes."),
        Attribute(
            name="protocol",
            kind=Choice(tuple(PoolProtocol)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="What is spoken to the members (PROXYV2 since 2.22, SCTP since 2.23). PROXY and PROXYV2 tell them "
            "who the client is.",
        ),
        Attribute(
            name="lb_algorithm",
            kind=Choice(tuple(Algorithm)),
            create=True,
            update=True,
            required=True,
            on_create_null=Null.REFUSE,
            on_update_null=Null.REFUSE,
            filtered=True,
            sorted=True,
            about="How a member is chosen (SOURCE_IP_PORT since 2.13).",
        ),
        Attribute(
            name="session_persistence",
            kind=Nested(_persistence),
            create=True,
            update=True,
            about="How a client keeps its member; null: it does not.",
        ),
        common.TAGS,
        Attribute(
            name="tls_enabled",
            kind=Boolean(),
            create=True,
            update=True,
            default=False,
            on_update_null=Null.DEFAULT,
            filtered=True,
            sorted=True,
            since="2.8",
            about="Whether traffic to the members is encrypted.",
        ),
        common.text(
            "tls_container_ref",
            since="2.8",
            about="Refers to the certificate and key shown to members.",
        ),
        common.text(
            "ca_tls_container_ref",
            since="2.8",
            about="Refers to the certificate authority of the members; without one they are not verified.",
        ),
        common.text(
            "crl_container_ref",
            since="2.8",
            about="Refers to the list of revoked member certificates.",
        ),
        common.text(
            "tls_ciphers",
            2048,
            since="2.15",
            about="Ciphers for TLS in OpenSSL's form, parted by colons; unless given, the deployment's.",
        ),
        Attribute(
            name="tls_versions",
            kind=TLS_VERSIONS,
            create=True,
            update=True,
            render=common.words,
            filtered=True,
            sorted=True,
            since="2.18",
            about="TLS versions: SSLv3, TLSv1, TLSv1.1, TLSv1.2, TLSv1.3; unless given, the deployment's.",
        ),
        Attribute(
            name="alpn_protocols",
            kind=ALPN,
            create=True,
            update=True,
            render=common.words,
            filtered=True,
            sorted=True,
            since="2.24",
            about="Application protocols offered to members in the TLS handshake; unless given, the deployment's.",
        ),
        Attribute(
            name="members",
            kind=Nested(lambda: MEMBER, many=True),
            create=True,
            default=[],
            render=common.references,
            shows=schemas.REFERENCES,
            about="The members. Whole ones only within the POST of a load balancer.",
        ),
        Attribute(
            name="healthmonitor",
            kind=Nested(lambda: HEALTH_MONITOR),
            create=True,
            shown=False,
            about="A whole health monitor; only within the POST of a load balancer.",
        ),
        common.LOAD_BALANCERS,
        Attribute(
            name="listeners",
            render=common.references,
            shows=schemas.REFERENCES,
            about="The listeners that send traffic to it.",
        ),
        Attribute(
            name="healthmonitor_id",
            kind=Uuid(),
            filtered=True,
            sorted=True,
            about="The health monitor; left out when there is none.",
        ),
        *common.project(),
        *common.TIMES,
    ),
    finish=_finish,
    more_filters={"loadbalancer_id": "loadbalancer_id", "load_balancer_id": "load_balancer_id"},
    nested_without=frozenset({"loadbalancer_id", "listener_id", "project_id", "tenant_id"}),
    may_lack=frozenset({"healthmonitor_id"}),
)
