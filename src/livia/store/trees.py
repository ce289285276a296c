"""Read a whole load balancer: one indexed select per table."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from msgspec.structs import replace
from sqlalchemy import BindParameter, Connection, Executable, RowMapping, bindparam, select

from livia.core.model.status import AmphoraStatus, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.store import rows
from livia.store import tables as t

_T = TypeVar("_T")

_ID: BindParameter[str] = bindparam("load_balancer_id")

_LOAD_BALANCER = (
    select(t.load_balancer, *(column for column in t.vip.c if column.name != "load_balancer_id"))
    .join_from(t.load_balancer, t.vip, t.vip.c.load_balancer_id == t.load_balancer.c.id)
    .where(t.load_balancer.c.id == _ID)
)
_ADDITIONAL_VIPS = (
    select(t.additional_vip).where(t.additional_vip.c.load_balancer_id == _ID).order_by(t.additional_vip.c.subnet_id)
)
_LISTENERS = (
    select(t.listener)
    .where(t.listener.c.load_balancer_id == _ID)
    .order_by(t.listener.c.created_at, t.listener.c.ordinal, t.listener.c.id)
)
_CIDRS = (
    select(t.listener_cidr)
    .join_from(t.listener_cidr, t.listener, t.listener.c.id == t.listener_cidr.c.listener_id)
    .where(t.listener.c.load_balancer_id == _ID)
)
_SNI = (
    select(t.sni)
    .join_from(t.sni, t.listener, t.listener.c.id == t.sni.c.listener_id)
    .where(t.listener.c.load_balancer_id == _ID)
    .order_by(t.sni.c.position, t.sni.c.tls_container_id)
)
_POOLS = (
    select(
        t.pool,
        t.session_persistence.c.type.label("persistence_type"),
        t.session_persistence.c.cookie_name,
        t.session_persistence.c.persistence_timeout,
        t.session_persistence.c.persistence_granularity,
    )
    .join_from(t.pool, t.session_persistence, t.session_persistence.c.pool_id == t.pool.c.id, isouter=True)
    .where(t.pool.c.load_balancer_id == _ID)
    .order_by(t.pool.c.created_at, t.pool.c.ordinal, t.pool.c.id)
)
_MEMBERS = (
    select(*(t.member.c[name] for name in rows.MEMBER_COLUMNS))
    .where(t.member.c.load_balancer_id == _ID)
    .order_by(t.member.c.created_at, t.member.c.ordinal, t.member.c.id)
)
_MONITORS = select(t.health_monitor).where(t.health_monitor.c.load_balancer_id == _ID)
_L7_POLICIES = (
    select(t.l7policy)
    .where(t.l7policy.c.load_balancer_id == _ID)
    .order_by(t.l7policy.c.listener_id, t.l7policy.c.position, t.l7policy.c.id)
)
_L7_RULES = (
    select(t.l7rule)
    .where(t.l7rule.c.load_balancer_id == _ID)
    .order_by(t.l7rule.c.created_at, t.l7rule.c.ordinal, t.l7rule.c.id)
)
_AMPHORAE = (
    select(t.amphora, t.amphora_host.c.draining.label("host_draining"))
    .join_from(t.amphora, t.amphora_host, t.amphora_host.c.id == t.amphora.c.compute_id, isouter=True)
    .where(t.amphora.c.load_balancer_id == _ID, t.amphora.c.status != AmphoraStatus.DELETED)
    .order_by(t.amphora.c.created_at, t.amphora.c.id)
)


def load(connection: Connection, load_balancer_id: str) -> LoadBalancerTree | None:
    """The load balancer with all that belongs to it; None when it is unknown or DELETED."""
    key = {"load_balancer_id": load_balancer_id}
    row = connection.execute(_LOAD_BALANCER, key).mappings().one_or_none()
    if row is None or row["provisioning_status"] == Provisioning.DELETED:
        return None

    def found(query: Executable) -> Sequence[RowMapping]:
        return connection.execute(query, key).mappings().all()

    listeners, pools = found(_LISTENERS), found(_POOLS)
    # What belongs to listeners or pools is not asked for where there are none.
    of_listener: Callable[[Executable], Sequence[RowMapping]] = found if listeners else _none
    cidrs = _grouped(of_listener(_CIDRS), "listener_id", lambda each: str(each["cidr"]))
    sni = _grouped(of_listener(_SNI), "listener_id", lambda each: str(each["tls_container_id"]))
    # All at once: thousands asked for one by one cost more than they are read for.
    members = rows.members(connection.execute(_MEMBERS, key).all() if pools else ())
    monitors = {each["pool_id"]: rows.monitor(each) for each in (found(_MONITORS) if pools else ())}
    policies_found = of_listener(_L7_POLICIES)
    rules = _grouped(found(_L7_RULES) if policies_found else (), "l7policy_id", rows.l7rule)
    policies = _grouped(policies_found, "listener_id", lambda each: rows.l7policy(each, tuple(rules[each["id"]])))
    return LoadBalancerTree(
        load_balancer=rows.load_balancer(row, found(_ADDITIONAL_VIPS)),
        listeners=tuple(
            rows.listener(each, tuple(sorted(cidrs[each["id"]])), tuple(sni[each["id"]]), tuple(policies[each["id"]]))
            for each in listeners
        ),
        pools=tuple(rows.pool(each, tuple(members[each["id"]]), monitors.get(each["id"])) for each in pools),
        amphorae=tuple(rows.amphora(each) for each in found(_AMPHORAE)),
    )


def _none(_query: Executable) -> Sequence[RowMapping]:
    return ()


def _grouped(found: Iterable[RowMapping], parent: str, read: Callable[[RowMapping], _T]) -> defaultdict[str, list[_T]]:
    """What each parent has, in order."""
    groups: defaultdict[str, list[_T]] = defaultdict(list)
    for row in found:
        groups[row[parent]].append(read(row))
    return groups


def look_again(connection: Connection, tree: LoadBalancerTree) -> LoadBalancerTree | None:
    """The tree as it is by now, read whole only if it has another generation: none of its listeners and pools changes
    without. Their statuses, and deleted ones that a confirmation removed, may then be as they were."""
    key = {"load_balancer_id": tree.load_balancer.id}
    row = connection.execute(_LOAD_BALANCER, key).mappings().one_or_none()
    if row is None or row["generation"] != tree.load_balancer.generation:
        return load(connection, tree.load_balancer.id)
    if row["provisioning_status"] == Provisioning.DELETED:
        return None
    return replace(
        tree,
        load_balancer=replace(rows.load_balancer(row, ()), additional_vips=tree.load_balancer.additional_vips),
        amphorae=tuple(rows.amphora(each) for each in connection.execute(_AMPHORAE, key).mappings()),
    )
