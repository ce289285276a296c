"""Amphora rows: what the worker writes as it builds, and the requests of others to replace them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Executable, String, bindparam, case, delete, false, insert, select, update

from livia.core.model.amphora import Amphora, Role
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.status import AmphoraStatus
from livia.core.report import Applied
from livia.core.spec import PRIORITY
from livia.store import rows
from livia.store.aggregates import iso_time
from livia.store.literals import word, words
from livia.store.tables import amphora, amphora_health, amphora_member_port, listener_statistics, load_balancer
from livia.store.upsert import upsert
from livia.store.view import View

_LIVE = amphora.c.status != AmphoraStatus.DELETED
_IS_GONE = select(amphora.c.id).where(
    amphora.c.id == bindparam("of_amphora", type_=String), amphora.c.status == AmphoraStatus.DELETED
)
_SOURCE = amphora.outerjoin(load_balancer, load_balancer.c.id == amphora.c.load_balancer_id)
#: shown as they are stored
_PLAIN = (
    "id",
    "compute_id",
    "lb_network_ip",
    "vrrp_ip",
    "ha_ip",
    "vrrp_port_id",
    "ha_port_id",
    "cert_busy",
    "role",
    "status",
    "vrrp_interface",
    "vrrp_id",
    "vrrp_priority",
    "cached_zone",
    "image_id",
    "compute_flavor",
)

VIEW = View(
    amphora,
    {
        **{name: amphora.c[name] for name in _PLAIN},
        "loadbalancer_id": amphora.c.load_balancer_id,
        **{name: iso_time(amphora.c[name]) for name in ("cert_expiration", "created_at", "updated_at")},
    },
    extra={"project_id": load_balancer.c.project_id},
    source=_SOURCE,
    live=_LIVE,
)


def add(connection: Connection, amphora_id: str, owner: LoadBalancer, role: Role, now: datetime) -> None:
    """Insert the row of an amphora that is to be built."""
    row = {"id": amphora_id, "cached_zone": owner.availability_zone, "created_at": now, **assignment(owner, role, now)}
    connection.execute(_ADD, row)


def assignment(owner: LoadBalancer, role: Role, now: datetime) -> dict[str, object]:
    """Columns of an amphora that is to be built for a load balancer."""
    pair = role is not Role.STANDALONE
    return {
        "load_balancer_id": owner.id,
        "role": str(role),
        "status": str(AmphoraStatus.PENDING_CREATE),
        "ha_ip": owner.vip.address,
        "ha_port_id": owner.vip.port_id,
        "vrrp_interface": "eth0" if pair else None,
        "vrrp_id": 1 if pair else None,
        "vrrp_priority": PRIORITY[role] if pair else None,
        "updated_at": now,
    }


def record(connection: Connection, amphora_id: str, now: datetime, **values: object) -> None:
    """Write what is now known of an amphora: column names and values of table `amphora`."""
    connection.execute(_RECORD, {"of_id": amphora_id, "updated_at": now, **values})


_FRESH = amphora.c.status.in_(words((AmphoraStatus.PENDING_CREATE, AmphoraStatus.BOOTING)))
# Made once, and bound: they are part of every change.
_ADD = insert(amphora)
#: of one amphora, the columns that are given
_RECORD = update(amphora).where(amphora.c.id == bindparam("of_id"))
_APPLIED = (
    update(amphora)
    .where(amphora.c.id == bindparam("of_id"))
    .values(
        status=case((_FRESH, word(AmphoraStatus.ALLOCATED)), else_=amphora.c.status),
        applied_generation=bindparam("confirmed"),
        applied_digest=bindparam("digest"),
        holds_vip=bindparam("holds"),
        updated_at=bindparam("now"),
    )
)


@cache
def _heard(dialect: str) -> Executable:
    row = {"amphora_id": bindparam("of_id"), "last_update": bindparam("now"), "busy": false()}
    return upsert(dialect, amphora_health, row, {"last_update": bindparam("now")})


def record_applied(connection: Connection, applied: Applied, now: datetime) -> None:
    """The agent confirmed a generation: the amphora serves it, and is watched from now on."""
    key = {"of_id": applied.amphora_id, "now": now}
    said = {"confirmed": applied.generation, "digest": applied.digest, "holds": applied.holds_vip}
    connection.execute(_APPLIED, {**key, **said})
    connection.execute(_heard(connection.dialect.name), key)


def request_failover(connection: Connection, load_balancer_id: str, now: datetime) -> int:
    """Ask that every serving amphora of the load balancer be replaced. How many that are."""
    return connection.execute(
        update(amphora)
        .where(
            amphora.c.load_balancer_id == load_balancer_id,
            amphora.c.status.in_((AmphoraStatus.ALLOCATED, AmphoraStatus.FAILOVER_STOPPED)),
        )
        .values(replace_requested=True, updated_at=now)
    ).rowcount


def request_replacement(connection: Connection, amphora_id: str, now: datetime) -> None:
    """Ask that one amphora be replaced."""
    record(connection, amphora_id, now, replace_requested=True)


def request_apply(connection: Connection, amphora_id: str, now: datetime) -> None:
    """Ask that the whole spec be sent to the agent again, as if it had never confirmed any."""
    record(connection, amphora_id, now, applied_generation=0)


def request_removal(connection: Connection, amphora_id: str, now: datetime) -> bool:
    """Ask that a failed amphora be removed. False when it is not in ERROR."""
    marked = connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status == AmphoraStatus.ERROR)
        .values(status=str(AmphoraStatus.PENDING_DELETE), updated_at=now)
    )
    return marked.rowcount == 1


def removal_failed(connection: Connection, amphora_id: str, now: datetime) -> None:
    """The amphora could not be removed: one that somebody wants deleted shows ERROR again."""
    connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status == AmphoraStatus.PENDING_DELETE)
        .values(status=str(AmphoraStatus.ERROR), updated_at=now)
    )


def give_up(connection: Connection, amphora_id: str, now: datetime) -> None:
    """The amphora was never finished, and will not be: replace it."""
    connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status.in_((AmphoraStatus.PENDING_CREATE, AmphoraStatus.BOOTING)))
        .values(status=str(AmphoraStatus.ERROR), updated_at=now)
    )


def lose(connection: Connection, amphora_id: str, now: datetime) -> None:
    """The amphora is gone with its host, whatever it was at: replace it."""
    doomed = (AmphoraStatus.DELETED, AmphoraStatus.PENDING_DELETE)
    connection.execute(
        update(amphora)
        .where(amphora.c.id == amphora_id, amphora.c.status.not_in(doomed))
        .values(status=str(AmphoraStatus.ERROR), updated_at=now)
    )


def forget(connection: Connection, amphora_id: str, now: datetime) -> bool:
    """The amphora is gone from its host: hide its row, drop its health. Counters of it stay in the sums. False when
    that was known."""
    connection.execute(delete(amphora_health).where(amphora_health.c.amphora_id == amphora_id))
    connection.execute(delete(amphora_member_port).where(amphora_member_port.c.amphora_id == amphora_id))
    connection.execute(
        update(listener_statistics).where(listener_statistics.c.amphora_id == amphora_id).values(active_connections=0)
    )
    return bool(
        connection.execute(
            update(amphora)
            .where(amphora.c.id == amphora_id, _LIVE)
            .values(updated_at=now, status=str(AmphoraStatus.DELETED), holds_vip=False)
        ).rowcount
    )


def one(connection: Connection, amphora_id: str) -> Amphora | None:
    """An amphora that is not DELETED."""
    row = connection.execute(select(amphora).where(amphora.c.id == amphora_id, _LIVE)).mappings().one_or_none()
    return None if row is None else rows.amphora(row)


def is_gone(connection: Connection, amphora_id: str) -> bool:
    """Whether there was such an amphora, and it is DELETED."""
    return connection.execute(_IS_GONE, {"of_amphora": amphora_id}).one_or_none() is not None


def several(connection: Connection, amphora_ids: Sequence[str]) -> list[Amphora]:
    """Those of these amphorae that are not DELETED."""
    ordered = sorted(amphora_ids)
    found = (
        connection.execute(select(amphora).where(amphora.c.id.in_(ordered[start : start + 1000]), _LIVE)).mappings()
        for start in range(0, len(ordered), 1000)
    )
    return [rows.amphora(row) for batch in found for row in batch]


class Place(Struct, frozen=True):
    """Whose an amphora is; None: it belongs to no load balancer."""

    load_balancer_id: str | None
    project_id: str | None


def place(connection: Connection, amphora_id: str) -> Place | None:
    """Whose an amphora is that is not DELETED."""
    row = connection.execute(
        select(amphora.c.load_balancer_id, load_balancer.c.project_id)
        .select_from(_SOURCE)
        .where(amphora.c.id == amphora_id, _LIVE)
    ).one_or_none()
    return None if row is None else Place(*row)


def statistics(connection: Connection, amphora_id: str) -> list[dict[str, Any]]:
    """The counters of each listener that has reported on an amphora that is not DELETED, by the API's names."""
    counted = listener_statistics.c
    found = connection.execute(
        select(
            amphora.c.id,
            amphora.c.load_balancer_id.label("loadbalancer_id"),
            counted.listener_id,
            counted.active_connections,
            counted.total_connections,
            counted.bytes_in,
            counted.bytes_out,
            counted.request_errors,
        )
        .join_from(amphora, listener_statistics, counted.amphora_id == amphora.c.id)
        .where(amphora.c.id == amphora_id, _LIVE)
        .order_by(counted.listener_id)
    )
    return [dict(row._mapping) for row in found]
