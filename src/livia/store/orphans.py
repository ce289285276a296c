"""What nobody owns: the rows that say who owns what, and the list of what was seen."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, and_, delete, select, tuple_, update

from livia.core.model.status import PENDING, AmphoraStatus, Provisioning
from livia.core.orphans import Orphan, Owners
from livia.store import tables as t
from livia.store.engine import database_now
from livia.store.upsert import upsert

_LIVE = t.amphora.c.status != AmphoraStatus.DELETED
#: rows in one statement
_BATCH = 200


def owners(connection: Connection) -> Owners:
    """Every load balancer and amphora that is not DELETED."""
    alive = t.load_balancer.c.provisioning_status != Provisioning.DELETED
    keys = connection.execute(select(t.load_balancer.c.id).where(alive)).scalars()
    places = connection.execute(select(t.amphora.c.id, t.amphora.c.compute_id).where(_LIVE))
    return Owners(load_balancers=frozenset(keys), amphorae={row.id: row.compute_id for row in places})


def rows(connection: Connection) -> list[Orphan]:
    """Amphora rows whose load balancer is DELETED."""
    gone = t.load_balancer.c.provisioning_status == Provisioning.DELETED
    found = connection.execute(
        select(t.amphora.c.id, t.amphora.c.load_balancer_id)
        .join_from(t.amphora, t.load_balancer, t.load_balancer.c.id == t.amphora.c.load_balancer_id)
        .where(_LIVE, gone)
    )
    return [
        Orphan(
            kind="row",
            name=row.id,
            reason=f"Amphora {row.id} is of load balancer {row.load_balancer_id}, which is gone.",
            load_balancer_id=row.load_balancer_id,
        )
        for row in found
    ]


def release(connection: Connection, amphora_id: str) -> bool:
    """Let go an amphora row of its DELETED load balancer, to be removed by the worker. False: it is as it should be."""
    gone = select(t.load_balancer.c.id).where(t.load_balancer.c.provisioning_status == Provisioning.DELETED)
    changed = connection.execute(
        update(t.amphora)
        .where(t.amphora.c.id == amphora_id, _LIVE, t.amphora.c.load_balancer_id.in_(gone))
        .values(load_balancer_id=None, status=str(AmphoraStatus.PENDING_DELETE))
    )
    return changed.rowcount == 1


def under_change(connection: Connection, keys: Sequence[str]) -> bool:
    """Whether a worker is at one of these load balancers or amphorae, or is to be."""
    held = select(t.lease.c.key).where(t.lease.c.key.in_(keys), t.lease.c.expires > database_now())
    wanted = select(t.work.c.key).where(t.work.c.key.in_(keys))
    pending = select(t.load_balancer.c.id).where(
        and_(t.load_balancer.c.id.in_(keys), t.load_balancer.c.provisioning_status.in_(PENDING))
    )
    return any(connection.execute(each.limit(1)).first() is not None for each in (held, wanted, pending))


def see(connection: Connection, found: Iterable[Orphan]) -> None:
    """Put on the list what was just seen; what is on it is seen once more."""
    now = database_now()
    for each in found:
        values = {
            "kind": each.kind,
            "place": each.place,
            "name": each.name,
            "load_balancer_id": each.load_balancer_id,
            "fence": each.fence,
            "reason": each.reason,
        }
        again = {"last_seen": now, "fence": each.fence, "reason": each.reason}
        row = {**values, "first_seen": now, "last_seen": now}
        connection.execute(upsert(connection.dialect.name, t.orphan, row, again))


def forget(connection: Connection, keys: Sequence[tuple[str, str, str]]) -> None:
    """Strike off the list."""
    columns = tuple_(t.orphan.c.kind, t.orphan.c.place, t.orphan.c.name)
    for start in range(0, len(keys), _BATCH):
        connection.execute(delete(t.orphan).where(columns.in_(keys[start : start + _BATCH])))


def seen(connection: Connection) -> list[tuple[Orphan, float]]:
    """The list, each with the seconds between the first and the last look that saw it; oldest first."""
    result = connection.execute(select(t.orphan).order_by(t.orphan.c.first_seen, t.orphan.c.name))
    return [
        (Orphan(**{name: row[name] for name in Orphan.__struct_fields__}), row["last_seen"] - row["first_seen"])
        for row in result.mappings()
    ]
