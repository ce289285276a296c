"""Pools on the wire (contract 30, part A)."""

from typing import Any

from livia.api.wire import common
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
        ),
        Attribute(name="cookie_name", kind=Text(255, r"[^\s,;\\]*"), create=True, update=True),
        Attribute(name="persistence_timeout", kind=Integer(), create=True, update=True, since="2.2"),
        Attribute(name="persistence_granularity", kind=IpAddress(), create=True, update=True, since="2.2"),
    ),
)


def _persistence() -> Resource:
    return SESSION_PERSISTENCE


def _parent(name: str) -> Attribute:
    return Attribute(name=name, kind=Uuid(), create=True, on_create_null=Null.OMIT, shown=False)


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
        _parent("loadbalancer_id"),
        _parent("listener_id"),
        Attribute(
            name="protocol",
            kind=Choice(tuple(PoolProtocol)),
            create=True,
            required=True,
            on_create_null=Null.REFUSE,
            filtered=True,
            sorted=True,
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
        ),
        Attribute(name="session_persistence", kind=Nested(_persistence), create=True, update=True),
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
        ),
        common.text("tls_container_ref", since="2.8"),
        common.text("ca_tls_container_ref", since="2.8"),
        common.text("crl_container_ref", since="2.8"),
        common.text("tls_ciphers", 2048, since="2.15"),
        Attribute(
            name="tls_versions",
            kind=TLS_VERSIONS,
            create=True,
            update=True,
            render=common.words,
            filtered=True,
            sorted=True,
            since="2.18",
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
        ),
        Attribute(
            name="members",
            kind=Nested(lambda: MEMBER, many=True),
            create=True,
            default=[],
            render=common.references,
        ),
        Attribute(name="healthmonitor", kind=Nested(lambda: HEALTH_MONITOR), create=True, shown=False),
        Attribute(name="loadbalancers", render=common.reference),
        Attribute(name="listeners", render=common.references),
        Attribute(name="healthmonitor_id", kind=None, filtered=True, sorted=True),
        *common.project(),
        *common.TIMES,
    ),
    finish=_finish,
    more_filters={"loadbalancer_id": "loadbalancer_id", "load_balancer_id": "load_balancer_id"},
    nested_without=frozenset({"loadbalancer_id", "listener_id", "project_id", "tenant_id"}),
)
