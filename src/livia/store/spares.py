"""Spare amphorae: rows in READY, without load balancer, that hold a place on a host."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Select, String, bindparam, insert, or_, select, update

from livia.core.model.amphora import AmphoraHost, Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.status import AmphoraStatus
from livia.store import offers
from livia.store.amphorae import assignment
from livia.store.engine import database_now
from livia.store.tables import amphora, amphora_host

#: by load balancer first: that has an index
_SPARE = (amphora.c.load_balancer_id.is_(None)) & (amphora.c.status == AmphoraStatus.READY)
#: seconds after its last heartbeat that a host's spares are not taken any more
_SILENCE = 30.0
#: that are tried before an amphora is rather made
_TRIED = 5


class Spare(Struct, frozen=True):
    id: str
    host: str | None


def ready(connection: Connection) -> list[Spare]:
    """Every spare, oldest first."""
    found = select(amphora.c.id, amphora.c.compute_id).where(_SPARE).order_by(amphora.c.created_at, amphora.c.id)
    return [Spare(row.id, row.compute_id) for row in connection.execute(found)]


def add(connection: Connection, amphora_id: str, host: AmphoraHost, now: datetime) -> None:
    """A spare on a host."""
    connection.execute(
        insert(amphora).values(
            id=amphora_id,
            status=str(AmphoraStatus.READY),
            compute_id=host.id,
            lb_network_ip=host.address,
            agent_port=host.agent_port,
            cached_zone=host.availability_zone,
            created_at=now,
            updated_at=now,
        )
    )


def drop(connection: Connection, amphora_id: str, now: datetime) -> bool:
    """Give a spare up. False: a load balancer has taken it."""
    gone = {"status": str(AmphoraStatus.DELETED), "updated_at": now}
    return connection.execute(update(amphora).where(amphora.c.id == amphora_id, _SPARE).values(gone)).rowcount == 1


def _fitting(*, zoned: bool) -> Select[tuple[str]]:
    """Ids of the spares that fit load balancer `owner`, oldest first; those in compute zone `zone` where it is bound
    to one."""
    host, other = amphora_host.c, amphora_host.alias()
    beside = select(other).join_from(amphora, other, other.c.id == amphora.c.compute_id)
    owned = amphora.c.load_balancer_id == bindparam("owner", type_=String)
    others = beside.where(owned, amphora.c.status != AmphoraStatus.DELETED)
    hosts = others.with_only_columns(other.c.id)
    # In the zone of another one of it there may be a better place, which is not for us to say.
    zones = others.with_only_columns(other.c.availability_zone).where(other.c.availability_zone.is_not(None))
    apart = or_(host.availability_zone.is_(None), ~host.availability_zone.in_(zones))
    fitting = [_SPARE, ~host.draining, host.last_seen > database_now() - _SILENCE, ~host.id.in_(hosts), apart]
    if zoned:
        fitting.append(host.availability_zone == bindparam("zone", type_=String))
    return (
        select(amphora.c.id)
        .join_from(amphora, amphora_host, host.id == amphora.c.compute_id)
        .where(*fitting)
        .order_by(amphora.c.created_at, amphora.c.id)
        .limit(_TRIED)
    )


# Made once, and bound: to make them costs more than to ask, and every creation asks.
_ANYWHERE, _IN_ZONE = _fitting(zoned=False), _fitting(zoned=True)


def take(connection: Connection, owner: LoadBalancer, role: Role, now: datetime) -> str | None:
    """Make a spare the load balancer's, once, whoever else wants it at the same time. None: there is none that fits: in
    its zone, on a host that is alive, and apart from its other amphorae."""
    zone = offers.compute_zone(connection, owner.availability_zone)
    wanted = {"owner": owner.id} if zone is None else {"owner": owner.id, "zone": zone}
    for key in connection.execute(_ANYWHERE if zone is None else _IN_ZONE, wanted).scalars().all():
        taken = update(amphora).where(amphora.c.id == key, _SPARE).values(assignment(owner, role, now))
        if connection.execute(taken).rowcount == 1:
            return str(key)
    return None
