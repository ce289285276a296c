"""Work rows: what is to be reconciled, and when. The poll of them is the net under every lost wake-up."""

from enum import IntEnum
from functools import cache

from msgspec import Struct
from sqlalchemy import Connection, Executable, and_, bindparam, delete, func, select, update

from livia.store.engine import database_now
from livia.store.tables import lease, work
from livia.store.upsert import upsert


class Priority(IntEnum):
    """Lower goes first (design, section 6)."""

    FAILOVER = 10
    USER = 20
    PERIODIC = 30


class Due(Struct, frozen=True, kw_only=True):
    key: str
    project_id: str | None
    priority: int
    version: int
    attempts: int
    #: seconds since the present change began
    age: float


@cache
def _request(dialect: str) -> Executable:
    row = {
        "key": bindparam("key"),
        "project_id": bindparam("project_id"),
        "priority": bindparam("priority"),
        "due": database_now(),
        "since": database_now(),
        "reason": bindparam("reason"),
    }
    lesser = func.min if dialect == "sqlite" else func.least
    again = {
        "due": database_now(),
        "version": work.c.version + 1,
        "attempts": 0,
        "priority": lesser(work.c.priority, bindparam("priority")),
        "since": database_now(),
        "reason": bindparam("reason"),
    }
    return upsert(dialect, work, row, again)


def request(
    connection: Connection,
    key: str,
    *,
    project_id: str | None,
    priority: Priority = Priority.USER,
    reason: str | None = None,
) -> None:
    """Ask for a reconcile of `key`, now. Part of the caller's transaction: intent and work are stored together."""
    wanted = {"key": key, "project_id": project_id, "priority": int(priority), "reason": reason}
    connection.execute(_request(connection.dialect.name), wanted)


def due(connection: Connection, limit: int) -> list[Due]:
    """Keys that are due and that nobody holds, most urgent first."""
    now = database_now()
    held = and_(lease.c.key == work.c.key, lease.c.expires > now)
    rows = connection.execute(
        select(
            work.c.key,
            work.c.project_id,
            work.c.priority,
            work.c.version,
            work.c.attempts,
            (now - work.c.since).label("age"),
        )
        .where(work.c.due <= now, ~select(lease.c.key).where(held).exists())
        .order_by(work.c.priority, work.c.due)
        .limit(limit)
    )
    return [Due(**row._mapping) for row in rows]


def one(connection: Connection, key: str) -> Due | None:
    """The work row of `key`, whether or not it is due."""
    row = connection.execute(
        select(
            work.c.key,
            work.c.project_id,
            work.c.priority,
            work.c.version,
            work.c.attempts,
            (database_now() - work.c.since).label("age"),
        ).where(work.c.key == key)
    ).one_or_none()
    return None if row is None else Due(**row._mapping)


def next_due(connection: Connection) -> float | None:
    """Seconds until the next row is due (negative when one is overdue); None without rows."""
    seconds: float | None = connection.execute(select(func.min(work.c.due) - database_now())).scalar_one()
    return seconds


def done(connection: Connection, key: str, version: int) -> bool:
    """Remove the row, unless more was asked for since `version`."""
    return bool(connection.execute(delete(work).where(work.c.key == key, work.c.version == version)).rowcount)


def again(connection: Connection, key: str, version: int | None, after: float, reason: str) -> None:
    """Look again in `after` seconds, or at once if more was asked for since `version` (None: whatever was)."""
    unchanged = [] if version is None else [work.c.version == version]
    connection.execute(
        update(work)
        .where(work.c.key == key, *unchanged)
        .values(due=database_now() + after, attempts=work.c.attempts + 1, reason=reason[:1024])
    )


def reason_of(connection: Connection, key: str) -> str | None:
    """Why the key is not done yet."""
    return connection.execute(select(work.c.reason).where(work.c.key == key)).scalar_one_or_none()
