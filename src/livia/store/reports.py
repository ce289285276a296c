"""What health writes: operating statuses that changed, counters that grew, the time of the last heartbeat."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, case, insert, select, update

from livia.core.model.status import AmphoraStatus, Operating
from livia.store.tables import amphora, amphora_health, listener, listener_statistics

#: ids in one statement (design, section 4)
_BATCH = 1000


def set_operating_status(connection: Connection, table: Table, statuses: Mapping[str, Operating]) -> None:
    """Write the operating status of each id; one statement per status."""
    for status in set(statuses.values()):
        ids = sorted(key for key, value in statuses.items() if value is status)
        for batch in _batches(ids):
            connection.execute(
                update(table)
                .where(table.c.id.in_(batch), table.c.operating_status != status)
                .values(operating_status=str(status))
            )


def set_vip_holder(connection: Connection, amphora_id: str, holds_vip: bool) -> None:
    """Which amphora has the VIP, as it says itself."""
    connection.execute(
        update(amphora).where(amphora.c.id == amphora_id, amphora.c.holds_vip != holds_vip).values(holds_vip=holds_vip)
    )


def touch(connection: Connection, amphora_ids: Iterable[str], now: datetime) -> None:
    """These amphorae were heard."""
    for batch in _batches(sorted(amphora_ids)):
        connection.execute(update(amphora_health).where(amphora_health.c.amphora_id.in_(batch)).values(last_update=now))


def add_counters(
    connection: Connection, listener_id: str, amphora_id: str, *, active_connections: int, **growth: int
) -> None:
    """Add to a listener's counters on one amphora; `active_connections` is the number open now."""
    row = listener_statistics.c
    grown = {name: row[name] + more for name, more in growth.items()}
    _count(connection, listener_id, amphora_id, active_connections, growth, grown)


def raise_counters(
    connection: Connection, listener_id: str, amphora_id: str, *, active_connections: int, **totals: int
) -> None:
    """Bring a listener's counters on one amphora up to `totals`. Messages may come twice, late or through another
    health manager: counters never go back."""
    row = listener_statistics.c
    raised = {name: case((row[name] < total, total), else_=row[name]) for name, total in totals.items()}
    _count(connection, listener_id, amphora_id, active_connections, totals, raised)


def _count(
    connection: Connection,
    listener_id: str,
    amphora_id: str,
    active_connections: int,
    first: Mapping[str, int],
    later: Mapping[str, ColumnElement[int]],
) -> None:
    """Write counters: `first` into a row of its own, `later` into the row that is there."""
    row = listener_statistics.c
    # The last words of an amphora may come after it was deleted: nothing is open there (contract 20, section 10).
    deleted = select(amphora.c.id).where(amphora.c.id == amphora_id, amphora.c.status == AmphoraStatus.DELETED).exists()
    changed = connection.execute(
        update(listener_statistics)
        .where(row.listener_id == listener_id, row.amphora_id == amphora_id)
        .values(active_connections=case((deleted, 0), else_=active_connections), **later)
    )
    if changed.rowcount:
        return
    owner = connection.execute(
        select(amphora.c.load_balancer_id, amphora.c.status)
        .join(listener, listener.c.load_balancer_id == amphora.c.load_balancer_id)
        .where(amphora.c.id == amphora_id, listener.c.id == listener_id)
    ).one_or_none()
    # Of a listener that was deleted meanwhile nothing is kept.
    if owner is not None:
        connection.execute(
            insert(listener_statistics).values(
                listener_id=listener_id,
                amphora_id=amphora_id,
                load_balancer_id=owner.load_balancer_id,
                active_connections=0 if owner.status == AmphoraStatus.DELETED else active_connections,
                **first,
            )
        )


def _batches(ids: list[str]) -> Iterable[list[str]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
