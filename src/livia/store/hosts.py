"""Amphora hosts: registered by their own heartbeats, chosen by the host driver."""

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from livia.core.model.amphora import AmphoraHost
from livia.core.model.status import AmphoraStatus
from livia.core.report import HostFacts
from livia.store.engine import database_now
from livia.store.tables import amphora, amphora_host


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
        select(amphora.c.compute_id, func.count().label("amphorae"))
        .where(amphora.c.status != AmphoraStatus.DELETED)
        .group_by(amphora.c.compute_id)
        .subquery()
    )
    rows = connection.execute(
        select(amphora_host, counts.c.amphorae, (database_now() - amphora_host.c.last_seen).label("age")).join_from(
            amphora_host, counts, counts.c.compute_id == amphora_host.c.id, isouter=True
        )
    )
    return [(_host(row), row.age) for row in rows]


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
    )
