"""Amphora rows: what the worker writes as it builds, and the requests of others to replace them."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from livia.core.model.amphora import Amphora, Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.status import AmphoraStatus
from livia.core.spec import PRIORITY
from livia.store.tables import amphora, amphora_health, amphora_member_port, listener_statistics
from livia.store.trees import amphora_of

_LIVE = amphora.c.status != AmphoraStatus.DELETED


def add(connection: Connection, amphora_id: str, load_balancer: LoadBalancer, role: Role, now: datetime) -> None:
    """Insert the row of an amphora that is to be built. Doing it again changes nothing."""
    pair = role is not Role.STANDALONE
    try:
        with connection.begin_nested():
            connection.execute(
                insert(amphora).values(
                    id=amphora_id,
                    load_balancer_id=load_balancer.id,
                    role=str(role),
                    status=str(AmphoraStatus.PENDING_CREATE),
                    ha_ip=load_balancer.vip.address,
                    ha_port_id=load_balancer.vip.port_id,
                    cached_zone=load_balancer.availability_zone,
                    vrrp_interface="eth0" if pair else None,
                    vrrp_id=1 if pair else None,
                    vrrp_priority=PRIORITY[role] if pair else None,
                    created_at=now,
                    updated_at=now,
                )
            )
    except IntegrityError:
        return


def record(connection: Connection, amphora_id: str, now: datetime, **values: object) -> None:
    """Write what is now known of an amphora: column names and values of table `amphora`."""
    connection.execute(update(amphora).where(amphora.c.id == amphora_id).values(updated_at=now, **values))


def record_applied(connection: Connection, amphora_id: str, generation: int, holds_vip: bool, now: datetime) -> None:
    """The agent confirmed `generation`: the amphora serves it, and is watched from now on."""
    connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status.in_((AmphoraStatus.PENDING_CREATE, AmphoraStatus.BOOTING)))
        .values(status=str(AmphoraStatus.ALLOCATED))
    )
    record(connection, amphora_id, now, applied_generation=generation, holds_vip=holds_vip)
    if not connection.execute(
        update(amphora_health).where(amphora_health.c.amphora_id == amphora_id).values(last_update=now)
    ).rowcount:
        connection.execute(insert(amphora_health).values(amphora_id=amphora_id, last_update=now, busy=False))


def request_failover(connection: Connection, load_balancer_id: str, now: datetime) -> int:
    """Ask that every serving amphora of the load balancer be replaced. How many that are."""
    return connection.execute(
        update(amphora)
        .where(amphora.c.load_balancer_id == load_balancer_id, amphora.c.status == AmphoraStatus.ALLOCATED)
        .values(replace_requested=True, updated_at=now)
    ).rowcount


def mark_failed(connection: Connection, amphora_id: str, now: datetime) -> bool:
    """The amphora is dead: replace it. False when it was no longer serving anyway."""
    marked = connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status == AmphoraStatus.ALLOCATED)
        .values(status=str(AmphoraStatus.ERROR), updated_at=now)
    )
    return marked.rowcount == 1


def forget(connection: Connection, amphora_id: str, now: datetime) -> None:
    """The amphora is gone from its host: hide its row, drop its health. Counters of it stay in the sums."""
    connection.execute(delete(amphora_health).where(amphora_health.c.amphora_id == amphora_id))
    connection.execute(delete(amphora_member_port).where(amphora_member_port.c.amphora_id == amphora_id))
    connection.execute(
        update(listener_statistics).where(listener_statistics.c.amphora_id == amphora_id).values(active_connections=0)
    )
    record(connection, amphora_id, now, status=str(AmphoraStatus.DELETED), holds_vip=False)


class Watched(Struct, frozen=True, kw_only=True):
    """An amphora that is expected to report."""

    id: str
    load_balancer_id: str
    last_update: datetime | None


def watched(connection: Connection) -> list[Watched]:
    """Every amphora that is expected to send heartbeats."""
    rows = connection.execute(
        select(amphora.c.id, amphora.c.load_balancer_id, amphora_health.c.last_update)
        .join_from(amphora, amphora_health, amphora_health.c.amphora_id == amphora.c.id)
        .where(amphora.c.status == AmphoraStatus.ALLOCATED)
    )
    return [Watched(**row._mapping) for row in rows]


def one(connection: Connection, amphora_id: str) -> Amphora | None:
    """An amphora that is not DELETED."""
    row = connection.execute(select(amphora).where(amphora.c.id == amphora_id, _LIVE)).mappings().one_or_none()
    return None if row is None or row["load_balancer_id"] is None else amphora_of(row)


def count_by_host(connection: Connection) -> dict[str, int]:
    """Host id to the number of amphorae on it."""
    rows = connection.execute(
        select(amphora.c.compute_id, func.count())
        .where(_LIVE, amphora.c.compute_id.is_not(None))
        .group_by(amphora.c.compute_id)
    )
    return {row[0]: row[1] for row in rows}
