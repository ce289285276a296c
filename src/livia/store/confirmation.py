"""What a confirmed generation, a failure or a finished deletion does to the rows (design, section 5)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    String,
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    select,
    update,
)

from livia.core.model.status import PENDING, Operating, Provisioning
from livia.store import bindings, l7policies
from livia.store import tables as t
from livia.store.literals import word, words
from livia.store.removal import drop

_CHILDREN = (t.l7rule, t.l7policy, t.member, t.health_monitor, t.listener, t.pool)
_ACTIVE = word(Provisioning.ACTIVE)
_DELETING = word(Provisioning.PENDING_DELETE)
_SETTLED = words(status for status in (*PENDING, Provisioning.ERROR) if status is not Provisioning.PENDING_DELETE)
#: objects that work as soon as they are configured, whatever the data plane reports (contracts 40 and 50)
_ONLINE_WHEN_ACTIVE = (t.health_monitor, t.l7policy, t.l7rule)


_OWNER: BindParameter[str] = bindparam("owner", type_=String)
_REACHED: BindParameter[int] = bindparam("reached")
_LB = t.load_balancer.c
_NOW: BindParameter[datetime] = bindparam("now", type_=_LB.updated_at.type)


def _reached(table: Table) -> ColumnElement[bool]:
    return and_(table.c.load_balancer_id == _OWNER, table.c.generation <= _REACHED)


def _active(table: Table) -> dict[str, object]:
    values: dict[str, object] = {"provisioning_status": _ACTIVE, "updated_at": _NOW}
    if table in _ONLINE_WHEN_ACTIVE:
        values["operating_status"] = case((table.c.enabled, str(Operating.ONLINE)), else_=str(Operating.OFFLINE))
    return values


def _some(table: Table, statuses: list[ColumnElement[str]]) -> ColumnElement[bool]:
    return exists().where(_reached(table), table.c.provisioning_status.in_(statuses))


# Statements are made once, and bound: they are part of every change.
#: of each kind of children, whether a confirmation changes or drops any: most changes are of one kind, or of none
_CHANGES = [_some(table, _SETTLED) for table in _CHILDREN]
_DROPS = [_some(table, [_DELETING]) for table in _CHILDREN]
_IS_ACTIVE = exists().where(_LB.id == _OWNER, _LB.generation == _REACHED, _LB.provisioning_status == _ACTIVE)
#: what there is to do, in one question; the load balancer's row is written by then
_CONCERNED = select(_IS_ACTIVE, bindings.any_of(_OWNER), *_DROPS, *_CHANGES)
_SETTLE = {
    table: update(table).where(_reached(table), table.c.provisioning_status.in_(_SETTLED)).values(**_active(table))
    for table in _CHILDREN
}
_NEWEST = and_(_LB.generation == _REACHED, _LB.provisioning_status != _DELETING)
_CONFIRMED_UP_TO = case((_LB.confirmed_generation < _REACHED, _REACHED), else_=_LB.confirmed_generation)
_REACHED_BY_PARTS = update(t.load_balancer).where(_LB.id == _OWNER).values(confirmed_generation=_CONFIRMED_UP_TO)
_CONFIRMED = (
    update(t.load_balancer)
    .where(_LB.id == _OWNER)
    .ordered_values(
        (_LB.confirmed_generation, _CONFIRMED_UP_TO),
        (_LB.updated_at, case((_NEWEST, _NOW), else_=_LB.updated_at)),
        # The last: MariaDB sets one column after the other, and shows what it has set.
        (_LB.provisioning_status, case((_NEWEST, _ACTIVE), else_=_LB.provisioning_status)),
    )
)


def confirm(connection: Connection, load_balancer_id: str, generation: int, now: datetime) -> bool:
    """Every amphora runs `generation`: what changed at or before it becomes ACTIVE or, if deleted, goes.

    True when that was the newest generation, and the load balancer is ACTIVE with it.
    """
    key = {"owner": load_balancer_id, "reached": generation, "now": now}
    # The load balancer's row first, as in every change: positions are renumbered while nobody inserts one.
    connection.execute(_CONFIRMED, key)
    return _settle(connection, key)


def confirm_parts(connection: Connection, load_balancer_id: str, generation: int, now: datetime) -> None:
    """The same for all that belongs to the load balancer, which itself is not whole."""
    key = {"owner": load_balancer_id, "reached": generation, "now": now}
    connection.execute(_REACHED_BY_PARTS, key)
    _settle(connection, key)


def _settle(connection: Connection, key: dict[str, Any]) -> bool:
    """Whether the load balancer is ACTIVE with the generation that it reached."""
    active, bound, *concerned = connection.execute(_CONCERNED, key).one()
    for table, some in zip(_CHILDREN, concerned[: len(_CHILDREN)], strict=True):
        if some:
            _drop(connection, table, key["owner"], key["reached"])
    for table, some in zip(_CHILDREN, concerned[len(_CHILDREN) :], strict=True):
        if some:
            connection.execute(_SETTLE[table], key)
    if bound:
        bindings.drop_unnamed(connection, key["owner"])
    return bool(active)


def _drop(connection: Connection, table: Table, load_balancer_id: str, generation: int) -> None:
    ours = and_(table.c.load_balancer_id == load_balancer_id, table.c.generation <= generation)
    deleted = and_(ours, table.c.provisioning_status == _DELETING)
    listeners = _listeners_of(connection, deleted) if table is t.l7policy else []
    drop(connection, table, deleted)
    for listener_id in listeners:
        l7policies.close_gaps(connection, listener_id)


def fail(connection: Connection, load_balancer_id: str, now: datetime) -> None:
    """The change could not be made in time: what is pending shows ERROR. A load balancer being deleted stays so."""
    for table in _CHILDREN:
        connection.execute(
            update(table)
            .where(
                table.c.load_balancer_id == load_balancer_id,
                table.c.provisioning_status.in_((Provisioning.PENDING_CREATE, Provisioning.PENDING_UPDATE)),
            )
            .values(provisioning_status=str(Provisioning.ERROR), updated_at=now)
        )
    connection.execute(
        update(t.load_balancer)
        .where(
            t.load_balancer.c.id == load_balancer_id,
            t.load_balancer.c.provisioning_status != _DELETING,
        )
        .values(provisioning_status=str(Provisioning.ERROR), updated_at=now)
    )


def remove(connection: Connection, load_balancer_id: str, now: datetime) -> None:
    """Nothing of the load balancer exists any more: its children go, its row is hidden until it is purged."""
    connection.execute(
        update(t.listener).where(t.listener.c.load_balancer_id == load_balancer_id).values(default_pool_id=None)
    )
    for table in _CHILDREN:
        drop(connection, table, table.c.load_balancer_id == load_balancer_id)
    bindings.forget(connection, load_balancer_id)
    connection.execute(delete(t.vip_security_group).where(t.vip_security_group.c.load_balancer_id == load_balancer_id))
    connection.execute(delete(t.additional_vip).where(t.additional_vip.c.load_balancer_id == load_balancer_id))
    connection.execute(delete(t.vip).where(t.vip.c.load_balancer_id == load_balancer_id))
    connection.execute(delete(t.vrrp_group).where(t.vrrp_group.c.load_balancer_id == load_balancer_id))
    connection.execute(delete(t.tags).where(t.tags.c.resource_id == load_balancer_id))
    connection.execute(
        update(t.load_balancer)
        .where(t.load_balancer.c.id == load_balancer_id)
        .values(provisioning_status=str(Provisioning.DELETED), operating_status=str(Operating.OFFLINE), updated_at=now)
    )


def _listeners_of(connection: Connection, policies: ColumnElement[bool]) -> list[str]:
    return list(connection.execute(select(t.l7policy.c.listener_id).where(policies).distinct()).scalars())
