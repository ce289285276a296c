"""Read a whole load balancer: one indexed select per table that has rows of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace
from sqlalchemy import BindParameter, Connection, RowMapping, Select, and_, bindparam, literal_column, select

from livia.core.model.amphora import Amphora
from livia.core.model.status import AmphoraStatus, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.store import rows
from livia.store import tables as t

_T = TypeVar("_T")

_ID: BindParameter[str] = bindparam("load_balancer_id")

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
_OF_AMPHORA = "amphora_"
_AMPHORA_COLUMNS = (
    *(t.amphora.c[name] for name in rows.AMPHORA_COLUMNS),
    t.amphora_host.c.draining.label(rows.DRAINING),
)
#: the load balancer with its VIP, once for each amphora: what changes while nothing new was asked for
_LOOK = (
    select(
        *(t.load_balancer.c[name] for name in rows.LOAD_BALANCER_COLUMNS),
        *(t.vip.c[name] for name in rows.VIP_COLUMNS),
        *(column.label(f"{_OF_AMPHORA}{column.name}") for column in _AMPHORA_COLUMNS),
    )
    .join_from(t.load_balancer, t.vip, t.vip.c.load_balancer_id == t.load_balancer.c.id)
    .outerjoin(
        t.amphora,
        and_(t.amphora.c.load_balancer_id == t.load_balancer.c.id, t.amphora.c.status != AmphoraStatus.DELETED),
    )
    .outerjoin(t.amphora_host, t.amphora_host.c.id == t.amphora.c.compute_id)
    .where(t.load_balancer.c.id == _ID)
    .order_by(t.amphora.c.created_at, t.amphora.c.id)
)
#: with it which kinds of rows there are: of others nothing is asked
_KINDS = (_ADDITIONAL_VIPS, _LISTENERS, _CIDRS, _SNI, _POOLS, _MEMBERS, _MONITORS, _L7_POLICIES, _L7_RULES)
_WHOLE = _LOOK.add_columns(
    *(
        kind.with_only_columns(literal_column("1")).order_by(None).exists().label(f"kind_{number}")
        for number, kind in enumerate(_KINDS)
    )
)


def load(connection: Connection, load_balancer_id: str) -> LoadBalancerTree | None:
    """The load balancer with all that belongs to it; None when it is unknown or DELETED."""
    key = {"load_balancer_id": load_balancer_id}
    look = connection.execute(_WHOLE, key).mappings().all()
    if not look or look[0]["provisioning_status"] == Provisioning.DELETED:
        return None
    present = {kind for number, kind in enumerate(_KINDS) if look[0][f"kind_{number}"]}

    def found(query: Select[Any]) -> Sequence[RowMapping]:
        return connection.execute(query, key).mappings().all() if query in present else ()

    cidrs = _grouped(found(_CIDRS), "listener_id", lambda each: str(each["cidr"]))
    sni = _grouped(found(_SNI), "listener_id", lambda each: str(each["tls_container_id"]))
    # All at once: thousands asked for one by one cost more than they are read for.
    members = rows.members(connection.execute(_MEMBERS, key).all() if _MEMBERS in present else ())
    monitors = {each["pool_id"]: rows.monitor(each) for each in found(_MONITORS)}
    rules = _grouped(found(_L7_RULES), "l7policy_id", rows.l7rule)
    policies = _grouped(found(_L7_POLICIES), "listener_id", lambda each: rows.l7policy(each, tuple(rules[each["id"]])))
    return LoadBalancerTree(
        load_balancer=rows.load_balancer(look[0], found(_ADDITIONAL_VIPS)),
        listeners=tuple(
            rows.listener(each, tuple(sorted(cidrs[each["id"]])), tuple(sni[each["id"]]), tuple(policies[each["id"]]))
            for each in found(_LISTENERS)
        ),
        pools=tuple(rows.pool(each, tuple(members[each["id"]]), monitors.get(each["id"])) for each in found(_POOLS)),
        amphorae=_amphorae(look),
    )


def _amphorae(look: Sequence[RowMapping]) -> tuple[Amphora, ...]:
    names = [column.name for column in _AMPHORA_COLUMNS]
    columns = [{name: row[_OF_AMPHORA + name] for name in names} for row in look]
    return tuple(rows.amphora(each) for each in columns if each["id"] is not None)


def _grouped(found: Iterable[RowMapping], parent: str, read: Callable[[RowMapping], _T]) -> defaultdict[str, list[_T]]:
    """What each parent has, in order."""
    groups: defaultdict[str, list[_T]] = defaultdict(list)
    for row in found:
        groups[row[parent]].append(read(row))
    return groups


def look_again(connection: Connection, tree: LoadBalancerTree) -> LoadBalancerTree | None:
    """The tree as it is by now, read whole only if it has another generation: none of its listeners and pools changes
    without. Their statuses, and deleted ones that a confirmation removed, may then be as they were."""
    look = connection.execute(_LOOK, {"load_balancer_id": tree.load_balancer.id}).mappings().all()
    if not look or look[0]["generation"] != tree.load_balancer.generation:
        return load(connection, tree.load_balancer.id)
    if look[0]["provisioning_status"] == Provisioning.DELETED:
        return None
    load_balancer = rows.load_balancer(look[0], ())
    return replace(
        tree,
        load_balancer=replace(load_balancer, additional_vips=tree.load_balancer.additional_vips),
        amphorae=_amphorae(look),
    )
