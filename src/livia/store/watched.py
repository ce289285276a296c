"""Amphorae as the health manager watches them: who should report, and what becomes of those that do not."""

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct, json
from sqlalchemy import Connection, exists, func, select, update

from livia.core.model.load_balancer import Topology
from livia.core.model.status import AmphoraStatus, Operating, Provisioning
from livia.store.aggregates import packed
from livia.store.conditions import at_rest
from livia.store.events import TABLE as EVENT
from livia.store.reports import batches
from livia.store.tables import amphora, amphora_health, listener, load_balancer

_STOPPED = str(AmphoraStatus.FAILOVER_STOPPED)
_WATCHED = (str(AmphoraStatus.ALLOCATED), _STOPPED)
#: the newest events that are looked through: failovers of one minute are among them
_LOOKED_THROUGH = 5000


class Watched(Struct, frozen=True, array_like=True, gc=False):
    """An amphora that serves a load balancer. `settled`: its load balancer is ACTIVE; `generation` and `digest`: what
    its agent confirmed last; `stopped`: it was silent when too many were; `paired`: one of a pair that has VRRP."""

    id: str
    load_balancer_id: str
    generation: int
    digest: str
    settled: bool
    stopped: bool
    paired: bool


#: one text for all amphorae whose ids begin alike: to fetch 20,000 rows of their own costs several times as much, and
#: one text of a whole fleet would be longer than MySQL hands out
_QUERY = (
    select(
        func.aggregate_strings(
            packed(
                amphora.c.id,
                amphora.c.load_balancer_id,
                amphora.c.applied_generation,
                func.coalesce(amphora.c.applied_digest, ""),
                load_balancer.c.provisioning_status == Provisioning.ACTIVE,
                amphora.c.status == _STOPPED,
                func.coalesce(load_balancer.c.topology, "") == Topology.ACTIVE_STANDBY,
            ),
            ",",
        )
    )
    .join_from(amphora, load_balancer, load_balancer.c.id == amphora.c.load_balancer_id)
    .where(amphora.c.status.in_(_WATCHED))
    .group_by(func.substr(amphora.c.id, 1, 2))
)
# Not strict: 0 and 1 are booleans to databases.
_decode = json.Decoder(list[Watched], strict=False).decode


def every(connection: Connection) -> dict[str, Watched]:
    """Every amphora that serves, by id."""
    return {each.id: each for text in connection.execute(_QUERY).scalars() for each in _decode(f"[{text}]")}


_UPDATES = select(amphora_health.c.last_update, func.aggregate_strings(amphora_health.c.amphora_id, ",")).group_by(
    amphora_health.c.last_update
)


def last_updates(connection: Connection) -> dict[str, datetime]:
    """When each amphora that was ever heard was heard last, as some health manager wrote.

    They write of a thousand at once: there are few such times, and to group by them costs less than to join rows.
    """
    return {each: heard for heard, ids in connection.execute(_UPDATES) for each in ids.split(",")}


def coming(connection: Connection) -> frozenset[str]:
    """Amphorae that are being built: they may report before they are expected to."""
    building = (str(AmphoraStatus.PENDING_CREATE), str(AmphoraStatus.BOOTING))
    return frozenset(connection.execute(select(amphora.c.id).where(amphora.c.status.in_(building))).scalars())


def mark_failed(connection: Connection, seen: Watched, now: datetime, *, last_update: datetime) -> bool:
    """The amphora is dead: replace it. A load balancer that has no other shows ERROR until one reports. False when it
    no longer serves, or any health manager heard it since."""
    health = amphora_health.c
    heard = exists().where(health.amphora_id == seen.id, health.last_update == last_update)
    marked = connection.execute(
        update(amphora)
        .where(amphora.c.id == seen.id, amphora.c.status.in_(_WATCHED), heard)
        .values(status=str(AmphoraStatus.ERROR), updated_at=now)
    )
    if marked.rowcount != 1:
        return False
    _mark_unserved(connection, seen.load_balancer_id)
    return True


def _mark_unserved(connection: Connection, load_balancer_id: str) -> None:
    """Nothing that could say so is left where the last amphora is dead: what was reported last would stand for good."""
    serving = exists().where(amphora.c.load_balancer_id == load_balancer_id, amphora.c.status.in_(_WATCHED))
    for table, owner in ((load_balancer, load_balancer.c.id), (listener, listener.c.load_balancer_id)):
        connection.execute(
            update(table)
            .where(owner == load_balancer_id, table.c.enabled, table.c.operating_status != Operating.OFFLINE, ~serving)
            .values(operating_status=str(Operating.ERROR))
        )


def stop(connection: Connection, amphora_ids: Collection[str], now: datetime) -> None:
    """Too many are silent: these are not replaced (contract 95, section 2.3)."""
    _change(connection, amphora_ids, AmphoraStatus.ALLOCATED, AmphoraStatus.FAILOVER_STOPPED, now)


def resume(connection: Connection, amphora_ids: Collection[str], now: datetime) -> None:
    """They were stopped, and report again."""
    _change(connection, amphora_ids, AmphoraStatus.FAILOVER_STOPPED, AmphoraStatus.ALLOCATED, now)


def _change(
    connection: Connection, amphora_ids: Collection[str], before: AmphoraStatus, after: AmphoraStatus, now: datetime
) -> None:
    for batch in batches(amphora_ids):
        connection.execute(
            update(amphora)
            .where(amphora.c.id.in_(batch), amphora.c.status == str(before))
            .values(status=str(after), updated_at=now)
        )


def recent(connection: Connection, code: str, since: datetime, until: datetime) -> int:
    """How many events of a kind there were between two moments, by anybody."""
    newest = select(EVENT.c.code, EVENT.c.created_at).order_by(EVENT.c.id.desc()).limit(_LOOKED_THROUGH).subquery()
    query = select(func.count()).where(newest.c.code == code, newest.c.created_at.between(since, until))
    count: int = connection.execute(query).scalar_one()
    return count


def request_repair(connection: Connection, seen: Watched, now: datetime) -> bool:
    """Have the whole spec sent to the agent again. False while anything is being changed, or was since `seen`."""
    marked = connection.execute(
        update(amphora)
        .where(
            amphora.c.id == seen.id,
            amphora.c.status == AmphoraStatus.ALLOCATED,
            amphora.c.applied_generation == seen.generation,
            at_rest(seen.load_balancer_id),
        )
        .values(applied_generation=0, updated_at=now)
    )
    return marked.rowcount == 1
