"""What a confirmed generation, a failure or a finished deletion does to the rows (design, section 5)."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, select, update

from livia.core.model.status import PENDING, Operating, Provisioning
from livia.store import tables as t

_CHILDREN = (t.l7rule, t.l7policy, t.member, t.health_monitor, t.listener, t.pool)
_DELETING = str(Provisioning.PENDING_DELETE)
_SETTLED = [str(status) for status in (*PENDING, Provisioning.ERROR) if status is not Provisioning.PENDING_DELETE]
#: objects that work as soon as they are configured, whatever the data plane reports (contracts 40 and 50)
_ONLINE_WHEN_ACTIVE = (t.health_monitor, t.l7policy, t.l7rule)


def confirm(connection: Connection, load_balancer_id: str, generation: int, now: datetime) -> bool:
    """Every amphora runs `generation`: what changed at or before it becomes ACTIVE or, if deleted, goes.

    True when that was the newest generation, and the load balancer is ACTIVE with it.
    """
    for table in _CHILDREN:
        ours = and_(table.c.load_balancer_id == load_balancer_id, table.c.generation <= generation)
        _drop(connection, table, and_(ours, table.c.provisioning_status == _DELETING))
        connection.execute(
            update(table).where(ours, table.c.provisioning_status.in_(_SETTLED)).values(**_active(table, now))
        )
    connection.execute(
        update(t.load_balancer)
        .where(t.load_balancer.c.id == load_balancer_id, t.load_balancer.c.confirmed_generation < generation)
        .values(confirmed_generation=generation)
    )
    newest = connection.execute(
        update(t.load_balancer)
        .where(
            t.load_balancer.c.id == load_balancer_id,
            t.load_balancer.c.generation == generation,
            t.load_balancer.c.provisioning_status != _DELETING,
        )
        .values(provisioning_status=str(Provisioning.ACTIVE), updated_at=now)
    )
    return newest.rowcount == 1


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
        _drop(connection, table, table.c.load_balancer_id == load_balancer_id)
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


def _active(table: Table, now: datetime) -> dict[str, object]:
    values: dict[str, object] = {"provisioning_status": str(Provisioning.ACTIVE), "updated_at": now}
    if table in _ONLINE_WHEN_ACTIVE:
        values["operating_status"] = case((table.c.enabled, str(Operating.ONLINE)), else_=str(Operating.OFFLINE))
    return values


def _drop(connection: Connection, table: Table, condition: ColumnElement[bool]) -> None:
    """Delete rows and all that hangs on them; children's tables are handled before their parents'."""
    ids = list(connection.execute(select(table.c.id).where(condition)).scalars())
    for start in range(0, len(ids), 500):
        _drop_ids(connection, table, ids[start : start + 500])


def _drop_ids(connection: Connection, table: Table, ids: list[str]) -> None:
    if table is t.pool:
        _drop(connection, t.member, t.member.c.pool_id.in_(ids))
        _drop(connection, t.health_monitor, t.health_monitor.c.pool_id.in_(ids))
        connection.execute(delete(t.session_persistence).where(t.session_persistence.c.pool_id.in_(ids)))
        connection.execute(update(t.listener).where(t.listener.c.default_pool_id.in_(ids)).values(default_pool_id=None))
        connection.execute(
            update(t.l7policy).where(t.l7policy.c.redirect_pool_id.in_(ids)).values(redirect_pool_id=None)
        )
    elif table is t.listener:
        _drop(connection, t.l7policy, t.l7policy.c.listener_id.in_(ids))
        for side in (t.listener_cidr, t.sni, t.listener_statistics):
            connection.execute(delete(side).where(side.c.listener_id.in_(ids)))
    elif table is t.l7policy:
        _drop(connection, t.l7rule, t.l7rule.c.l7policy_id.in_(ids))
    connection.execute(delete(t.tags).where(t.tags.c.resource_id.in_(ids)))
    connection.execute(delete(table).where(table.c.id.in_(ids)))
