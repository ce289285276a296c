"""Listeners: the shown view, their rows, and who else is on the load balancer."""

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, select, union, update

from livia.store import tables as t
from livia.store.aggregates import joined, json_texts, packed
from livia.store.batch import Batch
from livia.store.objects import DELETING
from livia.store.packing import reader
from livia.store.removal import drop
from livia.store.view import View, object_columns

_L = t.listener

VIEW = View(
    _L,
    {
        **object_columns(_L),
        "loadbalancers": _L.c.load_balancer_id,
        "protocol": _L.c.protocol,
        "protocol_port": _L.c.protocol_port,
        "connection_limit": _L.c.connection_limit,
        "default_pool_id": _L.c.default_pool_id,
        "default_tls_container_ref": _L.c.tls_certificate_id,
        "insert_headers": _L.c.insert_headers,
        "timeout_client_data": _L.c.timeout_client_data,
        "timeout_member_connect": _L.c.timeout_member_connect,
        "timeout_member_data": _L.c.timeout_member_data,
        "timeout_tcp_inspect": _L.c.timeout_tcp_inspect,
        "client_ca_tls_container_ref": _L.c.client_ca_tls_certificate_id,
        "client_authentication": _L.c.client_authentication,
        "client_crl_container_ref": _L.c.client_crl_container_id,
        "tls_ciphers": _L.c.tls_ciphers,
        "tls_versions": _L.c.tls_versions,
        "alpn_protocols": _L.c.alpn_protocols,
        "hsts_max_age": _L.c.hsts_max_age,
        "hsts_include_subdomains": _L.c.hsts_include_subdomains,
        "hsts_preload": _L.c.hsts_preload,
        "l7policies": joined(
            select(t.l7policy.c.id.label("value"))
            .where(t.l7policy.c.listener_id == _L.c.id)
            .order_by(t.l7policy.c.position)
            .correlate(_L)
        ),
        "allowed_cidrs": joined(
            select(t.listener_cidr.c.cidr.label("value"))
            .where(t.listener_cidr.c.listener_id == _L.c.id)
            .order_by(t.listener_cidr.c.cidr)
            .correlate(_L)
        ),
        "sni_container_refs": json_texts(
            select(t.sni.c.tls_container_id.label("value"))
            .where(t.sni.c.listener_id == _L.c.id)
            .order_by(t.sni.c.position)
            .correlate(_L)
        ),
    },
    extra={"load_balancer_id": _L.c.load_balancer_id, "loadbalancer_id": _L.c.load_balancer_id},
)


class Neighbour(Struct, frozen=True):
    """A listener as the rules see it."""

    id: str
    protocol: str
    protocol_port: int
    default_pool_id: str | None
    provisioning_status: str


_NEIGHBOUR = (_L.c.id, _L.c.protocol, _L.c.protocol_port, _L.c.default_pool_id, _L.c.provisioning_status)
_NEIGHBOURS = select(packed(*_NEIGHBOUR)).where(_L.c.load_balancer_id == bindparam("load_balancer_id"))
_read = reader(_NEIGHBOUR)


def on_load_balancer(connection: Connection, load_balancer_id: str) -> list[Neighbour]:
    """All listeners of a load balancer, those being deleted included."""
    found = connection.execute(_NEIGHBOURS, {"load_balancer_id": load_balancer_id}).scalars()
    return [Neighbour(*_read(text)) for text in found]


#: an L7 policy that sends traffic to its pool, whether or not it is its turn (contract 00, section 14.2)
REDIRECTING = and_(
    t.l7policy.c.enabled, select(t.l7rule.c.id).where(t.l7rule.c.l7policy_id == t.l7policy.c.id).exists()
)


def using_pool(connection: Connection, pool_id: str) -> list[str]:
    """Ids of the listeners whose default pool it is, or that have a policy that sends traffic to it."""
    redirecting = select(t.l7policy.c.listener_id).where(t.l7policy.c.redirect_pool_id == pool_id, REDIRECTING)
    return list(
        connection.execute(union(select(_L.c.id).where(_L.c.default_pool_id == pool_id), redirecting)).scalars()
    )


def protocols_using_pool(connection: Connection, pool_id: str) -> set[str]:
    """The protocols of the listeners whose default pool it is."""
    return set(connection.execute(select(_L.c.protocol).where(_L.c.default_pool_id == pool_id)).scalars())


def attach_pool(connection: Connection, listener_id: str, pool_id: str) -> None:
    """Make a pool the listener's default pool."""
    connection.execute(update(_L).where(_L.c.id == listener_id).values(default_pool_id=pool_id))


def detach_pool(connection: Connection, pool_id: str) -> None:
    """Take the pool away from the listeners whose default pool it is."""
    connection.execute(update(_L).where(_L.c.default_pool_id == pool_id).values(default_pool_id=None))


def set_cidrs(connection: Connection, listener_id: str, cidrs: Iterable[str]) -> None:
    """Replace the networks that may reach the listener; none: all may."""
    connection.execute(delete(t.listener_cidr).where(t.listener_cidr.c.listener_id == listener_id))
    batch = Batch()
    add_cidrs(batch, listener_id, cidrs)
    batch.flush(connection)


def add_cidrs(batch: Batch, listener_id: str, cidrs: Iterable[str]) -> None:
    """Say which networks may reach a new listener."""
    for cidr in dict.fromkeys(cidrs):
        batch.add(t.listener_cidr, {"listener_id": listener_id, "cidr": cidr})


def set_sni(connection: Connection, listener_id: str, references: Iterable[str]) -> None:
    """Replace the certificates chosen by server name."""
    connection.execute(delete(t.sni).where(t.sni.c.listener_id == listener_id))
    batch = Batch()
    add_sni(batch, listener_id, references)
    batch.flush(connection)


def add_sni(batch: Batch, listener_id: str, references: Iterable[str]) -> None:
    """Say which certificates a new listener chooses by server name."""
    for position, reference in enumerate(dict.fromkeys(references)):
        batch.add(t.sni, {"listener_id": listener_id, "tls_container_id": reference, "position": position})


def sni(connection: Connection, listener_id: str) -> list[str]:
    """The certificates chosen by server name, in order."""
    return list(
        connection.execute(
            select(t.sni.c.tls_container_id).where(t.sni.c.listener_id == listener_id).order_by(t.sni.c.position)
        ).scalars()
    )


#: attributes of client authentication that name key material, and their columns
CLIENT_AUTHORITY = {
    "client_ca_tls_container_ref": _L.c.client_ca_tls_certificate_id,
    "client_crl_container_ref": _L.c.client_crl_container_id,
}


def client_authority(connection: Connection, listener_id: str) -> dict[str, str | None]:
    """The stored values of `CLIENT_AUTHORITY`; empty when the listener is gone."""
    columns = (column.label(name) for name, column in CLIENT_AUTHORITY.items())
    row = connection.execute(select(*columns).where(_L.c.id == listener_id)).mappings().one_or_none()
    return {} if row is None else dict(row)


def make_way(connection: Connection, load_balancer_id: str, protocol: str, port: int) -> None:
    """Remove the row of a listener being deleted whose port is wanted again."""
    drop(
        connection,
        _L,
        and_(
            _L.c.load_balancer_id == load_balancer_id,
            _L.c.protocol == protocol,
            _L.c.protocol_port == port,
            _L.c.provisioning_status == DELETING,
        ),
    )


_COUNTERS = ("bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors")


def statistics(connection: Connection, listener_id: str) -> dict[str, int]:
    """The five counters of a listener, summed over its amphorae."""
    return _summed(connection, t.listener_statistics.c.listener_id == listener_id)


def statistics_of_load_balancer(connection: Connection, load_balancer_id: str) -> dict[str, int]:
    """The five counters summed over the listeners of a load balancer, whoever wrote their rows."""
    ours = select(_L.c.id).where(_L.c.load_balancer_id == load_balancer_id)
    return _summed(connection, t.listener_statistics.c.listener_id.in_(ours))


def _summed(connection: Connection, where: ColumnElement[bool]) -> dict[str, int]:
    counters = (func.coalesce(func.sum(t.listener_statistics.c[name]), 0) for name in _COUNTERS)
    row = connection.execute(select(*counters).where(where)).one()
    return {name: int(value) for name, value in zip(_COUNTERS, row, strict=True)}
