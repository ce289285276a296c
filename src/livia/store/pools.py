"""Pools: the shown view and their rows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, or_, select

from livia.store import tables as t
from livia.store.batch import Batch
from livia.store.listeners import REDIRECTING
from livia.store.objects import DELETING
from livia.store.view import View, ids_of, object_columns

_P = t.pool
_SP = t.session_persistence

#: listeners of the pool's load balancer that send traffic to it
_USING = and_(
    t.listener.c.load_balancer_id == _P.c.load_balancer_id,
    or_(
        t.listener.c.default_pool_id == _P.c.id,
        select(t.l7policy.c.id)
        .where(t.l7policy.c.listener_id == t.listener.c.id, t.l7policy.c.redirect_pool_id == _P.c.id, REDIRECTING)
        .correlate(t.listener, _P)
        .exists(),
    ),
)

VIEW = View(
    _P,
    {
        **object_columns(_P),
        "loadbalancers": _P.c.load_balancer_id,
        "protocol": _P.c.protocol,
        "lb_algorithm": _P.c.lb_algorithm,
        "tls_enabled": _P.c.tls_enabled,
        "tls_container_ref": _P.c.tls_certificate_id,
        "ca_tls_container_ref": _P.c.ca_tls_certificate_id,
        "crl_container_ref": _P.c.crl_container_id,
        "tls_ciphers": _P.c.tls_ciphers,
        "tls_versions": _P.c.tls_versions,
        "alpn_protocols": _P.c.alpn_protocols,
        "healthmonitor_id": t.health_monitor.c.id,
        "persistence_type": _SP.c.type,
        "cookie_name": _SP.c.cookie_name,
        "persistence_timeout": _SP.c.persistence_timeout,
        "persistence_granularity": _SP.c.persistence_granularity,
        "listeners": ids_of(t.listener, _USING, _P),
        "members": ids_of(t.member, t.member.c.pool_id == _P.c.id, _P),
    },
    extra={"load_balancer_id": _P.c.load_balancer_id, "loadbalancer_id": _P.c.load_balancer_id},
    source=_P.outerjoin(_SP, _SP.c.pool_id == _P.c.id).outerjoin(
        t.health_monitor, t.health_monitor.c.pool_id == _P.c.id
    ),
)


_FOR_MEMBERS = (
    select(_P.c.protocol, t.health_monitor.c.provisioning_status)
    .select_from(_P.outerjoin(t.health_monitor, t.health_monitor.c.pool_id == _P.c.id))
    .where(_P.c.id == bindparam("pool_id"))
)


def for_members(connection: Connection, pool_id: str) -> tuple[str, bool]:
    """What members of a pool that is known to be there have to fit: its protocol, and whether it is monitored."""
    protocol, monitor_status = connection.execute(_FOR_MEMBERS, {"pool_id": pool_id}).one()
    return protocol, monitor_status not in (None, DELETING)


#: attributes by which members are verified, and their columns
AUTHORITY = {"ca_tls_container_ref": _P.c.ca_tls_certificate_id, "crl_container_ref": _P.c.crl_container_id}


def authority(connection: Connection, pool_id: str) -> dict[str, str | None]:
    """The stored values of `AUTHORITY`; empty when the pool is gone."""
    columns = (column.label(name) for name, column in AUTHORITY.items())
    row = connection.execute(select(*columns).where(_P.c.id == pool_id)).mappings().one_or_none()
    return {} if row is None else dict(row)


def persistence(connection: Connection, pool_id: str) -> dict[str, Any] | None:
    """The session persistence of a pool: type, cookie_name, persistence_timeout, persistence_granularity."""
    row = connection.execute(select(_SP).where(_SP.c.pool_id == pool_id)).mappings().one_or_none()
    return None if row is None else {name: value for name, value in row.items() if name != "pool_id"}


def set_persistence(connection: Connection, pool_id: str, wanted: Mapping[str, Any] | None) -> None:
    """Replace the session persistence; None: there is none."""
    connection.execute(delete(_SP).where(_SP.c.pool_id == pool_id))
    batch = Batch()
    add_persistence(batch, pool_id, wanted)
    batch.flush(connection)


def add_persistence(batch: Batch, pool_id: str, wanted: Mapping[str, Any] | None) -> None:
    """The session persistence of a new pool."""
    if wanted is not None:
        batch.add(_SP, {**wanted, "pool_id": pool_id})


def redirecting_policy(connection: Connection, pool_id: str) -> str | None:
    """The id of an L7 policy that redirects to the pool, enabled or not, and is not being deleted."""
    policy: str | None = connection.execute(
        select(t.l7policy.c.id)
        .where(t.l7policy.c.redirect_pool_id == pool_id, t.l7policy.c.provisioning_status != DELETING)
        .limit(1)
    ).scalar_one_or_none()
    return policy


def children(connection: Connection, pool_id: str) -> dict[str, list[str]]:
    """Kind to the ids of the pool's members and monitor."""
    return {
        kind: list(connection.execute(select(table.c.id).where(table.c.pool_id == pool_id)).scalars())
        for kind, table in (("member", t.member), ("health_monitor", t.health_monitor))
    }
