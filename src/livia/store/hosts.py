"""Amphora hosts: registered by their own heartbeats, chosen by the host driver."""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, Row, case, delete, false, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from livia.core.model.amphora import AmphoraHost, Role
from livia.core.model.status import AmphoraStatus
from livia.core.plan.placement import NO_PLACE, Placed
from livia.core.report import HostFacts
from livia.store.engine import database_now
from livia.store.tables import amphora, amphora_host, load_balancer, work


def seen(connection: Connection, host_id: str, facts: HostFacts) -> None:
    """A host reported: write what it says, and that it is alive now."""
    values = {
        "address": facts.address,
        "agent_port": facts.agent_port,
        "availability_zone": facts.availability_zone,
        "capacity": facts.capacity,
        "last_seen": database_now(),
    }
    if connection.execute(update(amphora_host).where(amphora_host.c.id == host_id).values(**values)).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(amphora_host).values(id=host_id, draining=False, **values))
    except IntegrityError:
        # Another health manager heard it first.
        return


def every(connection: Connection) -> list[tuple[AmphoraHost, float]]:
    """All hosts with their amphora counts, each with the seconds since it was last seen."""
    counts = (
        select(
            amphora.c.compute_id,
            func.count().label("amphorae"),
            func.sum(case((amphora.c.role == Role.BACKUP, 0), else_=1)).label("serving"),
        )
        .where(amphora.c.status != AmphoraStatus.DELETED)
        .group_by(amphora.c.compute_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            amphora_host,
            counts.c.amphorae,
            counts.c.serving,
            # Seen in the future: the database's clock was set back. Who lives is seen again in a moment.
            func.abs(database_now() - amphora_host.c.last_seen).label("age"),
        )
        .join_from(amphora_host, counts, counts.c.compute_id == amphora_host.c.id, isouter=True)
        .order_by(amphora_host.c.id)
    )
    return [(_host(row), row.age) for row in rows]


def claim(connection: Connection, host: AmphoraHost, amphora_id: str) -> bool:
    """Place an amphora on `host`. False when the host is not as it was when it was chosen: somebody else placed one
    there, or it is being drained or gone."""
    claimed = connection.execute(
        update(amphora_host)
        .where(
            amphora_host.c.id == host.id,
            amphora_host.c.placements == host.placements,
            amphora_host.c.draining == false(),
        )
        .values(placements=amphora_host.c.placements + 1)
    )
    if not claimed.rowcount:
        return False
    connection.execute(update(amphora).where(amphora.c.id == amphora_id).values(compute_id=host.id))
    return True


def of_amphorae(connection: Connection, amphora_ids: Collection[str]) -> frozenset[str]:
    """Where these amphorae are, as far as they are placed."""
    rows = connection.execute(select(amphora.c.compute_id).where(amphora.c.id.in_(sorted(amphora_ids))))
    return frozenset(rows.scalars()) - {None}


def placed(connection: Connection) -> list[Placed]:
    """Every amphora that serves a load balancer, and where."""
    rows = connection.execute(
        select(amphora.c.load_balancer_id, amphora.c.compute_id, amphora.c.holds_vip).where(
            amphora.c.status.in_((AmphoraStatus.ALLOCATED, AmphoraStatus.FAILOVER_STOPPED)),
            amphora.c.load_balancer_id.is_not(None),
            amphora.c.compute_id.is_not(None),
        )
    )
    return [Placed(load_balancer_id=row[0], host_id=row[1], serving=row[2]) for row in rows]


class Resident(Struct, frozen=True, kw_only=True):
    """An amphora on a host. `load_balancer_id` is None for one that belongs to none."""

    amphora_id: str
    load_balancer_id: str | None
    project_id: str | None


def residents(connection: Connection, host_id: str) -> list[Resident]:
    """What is on a host."""
    rows = connection.execute(
        select(amphora.c.id, amphora.c.load_balancer_id, load_balancer.c.project_id)
        .join_from(amphora, load_balancer, load_balancer.c.id == amphora.c.load_balancer_id, isouter=True)
        .where(amphora.c.compute_id == host_id, amphora.c.status != AmphoraStatus.DELETED)
        .order_by(amphora.c.load_balancer_id, amphora.c.id)
    )
    return [Resident(amphora_id=row[0], load_balancer_id=row[1], project_id=row[2]) for row in rows]


def set_draining(connection: Connection, host_id: str, *, draining: bool) -> bool:
    """Have nothing placed there, and what is there replaced; or no longer. False when there is no such host."""
    changed = connection.execute(update(amphora_host).where(amphora_host.c.id == host_id).values(draining=draining))
    return bool(changed.rowcount)


def offer_room(connection: Connection) -> None:
    """There is room for amphorae that was not there before: have whoever had none tried now, not after its pause.

    Whoever is at one of them right now may have looked before, and is to look again.
    """
    connection.execute(
        update(work).where(work.c.reason.contains(NO_PLACE)).values(due=database_now(), version=work.c.version + 1)
    )


def remove(connection: Connection, host_id: str) -> None:
    """Forget a host. It comes back with its next heartbeat."""
    connection.execute(delete(amphora_host).where(amphora_host.c.id == host_id))


def one(connection: Connection, host_id: str) -> AmphoraHost | None:
    """The host with this id."""
    row = connection.execute(select(amphora_host).where(amphora_host.c.id == host_id)).one_or_none()
    return None if row is None else _host(row)


def _host(row: Row[tuple[object, ...]]) -> AmphoraHost:
    values = row._mapping
    return AmphoraHost(
        id=values["id"],
        address=values["address"],
        agent_port=values["agent_port"],
        availability_zone=values["availability_zone"],
        capacity=values["capacity"],
        draining=values["draining"],
        last_seen=values["last_seen"],
        amphora_count=values.get("amphorae") or 0,
        serving=int(values.get("serving") or 0),
        placements=values["placements"],
    )


def record_certificate(connection: Connection, host_id: str, expires: datetime) -> None:
    """Until when (naive UTC) the agent of a host serves with its certificate: its amphorae show it."""
    ours = (amphora.c.compute_id == host_id, amphora.c.status != AmphoraStatus.DELETED)
    changed = or_(amphora.c.cert_expiration.is_(None), amphora.c.cert_expiration != expires)
    connection.execute(update(amphora).where(*ours, changed).values(cert_expiration=expires))
