"""Pairs of amphorae that are where both would be lost together, and what is asked for to part them."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, and_, exists, false, func, or_, select, true, update

from livia.core.model.amphora import Role
from livia.core.model.status import AmphoraStatus, Provisioning
from livia.store.conditions import at_rest, has_work, is_active
from livia.store.tables import amphora, amphora_health, event, load_balancer

#: code of the event of an amphora that was asked to leave the other of its pair
APART = "amphora.apart"

_STANDBY, _HOLDER, _THIRD = amphora.alias("standby"), amphora.alias("holder"), amphora.alias("third")


class Shared(Struct, frozen=True, kw_only=True):
    """A pair on one host, or on hosts of one zone. `standby_id` does not hold the VIP and is on `host`, the other is on
    `beside`; `zone`: that the load balancer must be in; `asked`: somebody wants the standby replaced already."""

    load_balancer_id: str
    project_id: str | None
    zone: str | None
    standby_id: str
    role: Role
    host: str
    holder_id: str
    beside: str
    asked: bool


#: the fields of `Shared`
_SHARED = (
    load_balancer.c.id.label("load_balancer_id"),
    load_balancer.c.project_id,
    load_balancer.c.availability_zone.label("zone"),
    _STANDBY.c.id.label("standby_id"),
    _STANDBY.c.role,
    _STANDBY.c.compute_id.label("host"),
    _HOLDER.c.id.label("holder_id"),
    _HOLDER.c.compute_id.label("beside"),
    _STANDBY.c.replace_requested.label("asked"),
)


def shared(
    connection: Connection, zones: Collection[Sequence[str]], *, now: datetime, heard: float, again: float
) -> list[Shared]:
    """Pairs of ACTIVE load balancers whose both amphorae serve, on one host or on two of one of `zones`, which are the
    ids of its hosts; those of load balancers that must be in one zone share it rightly.

    Only such as may be asked to part: both were heard within `heard` seconds, no change waits, and they were not asked
    within `again` seconds. Besides, those that were asked and that nothing was begun for."""
    standby, holder, third, owner = _STANDBY.c, _HOLDER.c, _THIRD.c, load_balancer.c
    near = [and_(owner.availability_zone.is_(None), standby.compute_id.in_(z), holder.compute_id.in_(z)) for z in zones]
    more = exists().where(
        third.load_balancer_id == owner.id,
        third.status != AmphoraStatus.DELETED,
        third.id != standby.id,
        third.id != holder.id,
    )
    quiet = and_(
        _heard(standby.id, now, heard),
        _heard(holder.id, now, heard),
        ~has_work(owner.id),
        ~_told(owner.id, now, again),
    )
    found = connection.execute(
        select(*_SHARED)
        .join_from(_STANDBY, _HOLDER, holder.load_balancer_id == standby.load_balancer_id)
        .join(load_balancer, owner.id == standby.load_balancer_id)
        .where(
            or_(standby.compute_id == holder.compute_id, *near),
            standby.holds_vip == false(),
            holder.holds_vip == true(),
            standby.status == AmphoraStatus.ALLOCATED,
            holder.status == AmphoraStatus.ALLOCATED,
            holder.replace_requested == false(),
            owner.provisioning_status == Provisioning.ACTIVE,
            ~more,
            or_(standby.replace_requested == true(), quiet),
        )
        .order_by(owner.id)
    )
    return [Shared(**{**row, "role": Role(row["role"])}) for row in found.mappings()]


def _heard(amphora_id: ColumnElement[str], now: datetime, seconds: float) -> ColumnElement[bool]:
    last = amphora_health.c.last_update
    return exists().where(amphora_health.c.amphora_id == amphora_id, last > now - timedelta(seconds=seconds))


def _told(load_balancer_id: ColumnElement[str], now: datetime, seconds: float) -> ColumnElement[bool]:
    # Of the future is what was written before a clock was set back, perhaps by hours.
    told = event.c.created_at.between(now - timedelta(seconds=seconds), now + timedelta(seconds=seconds))
    return exists().where(event.c.load_balancer_id == load_balancer_id, event.c.code == APART, told)


def replacing(connection: Connection) -> int:
    """Amphorae that serve and that somebody wants replaced."""
    wanted = (amphora.c.status == AmphoraStatus.ALLOCATED, amphora.c.replace_requested == true())
    count: int = connection.execute(select(func.count()).where(*wanted)).scalar_one()
    return count


def stopped(connection: Connection) -> bool:
    """Whether so many amphorae are silent that health managers replace none."""
    held = select(amphora.c.id).where(amphora.c.status == AmphoraStatus.FAILOVER_STOPPED).limit(1)
    return connection.execute(held).one_or_none() is not None


def part(connection: Connection, seen: Shared, now: datetime) -> bool:
    """Ask that the one without the VIP be replaced. False while anything is being changed, or was since `seen`."""
    return _ask(connection, seen, now, at_rest(seen.load_balancer_id), wanted=True)


def call_off(connection: Connection, seen: Shared, now: datetime) -> bool:
    """Ask for it no longer. A replacement that was begun meanwhile is one too many then, and is removed."""
    return _ask(connection, seen, now, is_active(seen.load_balancer_id), wanted=False)


def _ask(connection: Connection, seen: Shared, now: datetime, condition: ColumnElement[bool], *, wanted: bool) -> bool:
    changed = connection.execute(
        update(amphora)
        .where(
            amphora.c.id == seen.standby_id,
            amphora.c.status == AmphoraStatus.ALLOCATED,
            amphora.c.holds_vip == false(),
            amphora.c.replace_requested == (false() if wanted else true()),
            condition,
        )
        .values(replace_requested=wanted, updated_at=now)
    )
    return changed.rowcount == 1
