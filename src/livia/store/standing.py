"""How far what was asked for has come: for people who ask why it is not done."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection, and_, func, select

from livia.core.model.status import PENDING
from livia.store import tables as t
from livia.store.engine import database_now

#: ids in one statement (design, section 4)
_MOST_IDS = 1000
_KINDS = {
    "listener": t.listener,
    "pool": t.pool,
    "member": t.member,
    "health monitor": t.health_monitor,
    "L7 policy": t.l7policy,
    "L7 rule": t.l7rule,
}


class Standing(Struct, frozen=True, kw_only=True):
    """One row of work. Seconds: `age` since it was asked for, `due_in` until the next try (negative: it is due).

    `age` None: all that was asked for is confirmed, and only rests remain. `worker`: who is at it now.
    """

    key: str
    age: float | None
    attempts: int
    due_in: float
    reason: str | None
    worker: str | None


def of(connection: Connection, keys: Sequence[str]) -> dict[str, Standing]:
    """Those of the keys that have work left."""
    now = database_now()
    held = and_(t.lease.c.key == t.work.c.key, t.lease.c.expires > now)
    question = select(
        t.work.c.key,
        (now - t.work.c.since).label("age"),
        t.work.c.attempts,
        (t.work.c.due - now).label("due_in"),
        t.work.c.reason,
        t.lease.c.owner.label("worker"),
    ).join_from(t.work, t.lease, held, isouter=True)
    found: dict[str, Standing] = {}
    for some in _some(keys):
        rows = connection.execute(question.where(t.work.c.key.in_(some)))
        found |= {row.key: Standing(**row._mapping) for row in rows}
    return found


def pending(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """By load balancer, how many of what belongs to it are in a PENDING status: `2 members, 1 pool`."""
    told: dict[str, list[str]] = {}
    statuses = [str(status) for status in PENDING]
    for name, table in _KINDS.items():
        owner = table.c.load_balancer_id
        for some in _some(keys):
            question = select(owner, func.count()).where(owner.in_(some), table.c.provisioning_status.in_(statuses))
            for key, count in connection.execute(question.group_by(owner)):
                told.setdefault(key, []).append(_counted(count, name))
    return {key: ", ".join(each) for key, each in told.items()}


def _counted(count: int, name: str) -> str:
    plural = f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"
    return f"{count} {name if count == 1 else plural}"


def _some(keys: Sequence[str]) -> list[Sequence[str]]:
    return [keys[start : start + _MOST_IDS] for start in range(0, len(keys), _MOST_IDS)]
