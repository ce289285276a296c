"""Work rows: what is to be reconciled, and when. The poll of them is the net under every lost wake-up."""

from enum import IntEnum
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Integer,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from livia.store.engine import database_now
from livia.store.tables import lease, work
from livia.store.upsert import upsert

#: seconds that a key waits for another try, at most
LONGEST_PAUSE = 30.0
#: seconds that it waits at first
_FIRST_PAUSE = 0.2
#: tries in a row that ended with their worker, from which on they may be why it ended. One is nobody's fault: whatever
#: was under way ends with its worker.
SUSPICIOUS = 2


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
    #: seconds that tries at the oldest change that nobody has confirmed took, and the pauses between them
    spent: float
    #: tries in a row whose worker ended in their midst
    crashes: int
    #: seconds that it has been due
    late: float
    #: the newest request that asked for it
    request_id: str | None

    @property
    def suspect(self) -> bool:
        """Whether trying it may be what ends workers."""
        return self.crashes >= SUSPICIOUS


def backoff(tries: int) -> float:
    """Seconds before another try, after so many more than the first that came to nothing."""
    return min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(tries, 10))


@cache
def _request(dialect: str) -> Executable:
    row = {
        "key": bindparam("key"),
        "project_id": bindparam("project_id"),
        "priority": bindparam("priority"),
        "due": database_now(),
        "since": database_now(),
        "reason": bindparam("reason"),
        "request_id": bindparam("request_id"),
    }
    lesser = func.min if dialect == "sqlite" else func.least
    again = {
        # Who asks again and again must not end one worker after the other: such a pause is kept.
        "due": case((work.c.crashes >= SUSPICIOUS, work.c.due), else_=database_now()),
        "version": work.c.version + 1,
        "attempts": 0,
        "priority": lesser(work.c.priority, bindparam("priority")),
        # The oldest change that is not confirmed says how old the work is; where there is none, this one.
        "since": func.coalesce(work.c.since, database_now()),
        "reason": bindparam("reason"),
        # What nobody named follows from what was asked for before.
        "request_id": func.coalesce(bindparam("request_id", type_=String), work.c.request_id),
    }
    return upsert(dialect, work, row, again)


def request(
    connection: Connection,
    key: str,
    *,
    project_id: str | None,
    priority: Priority = Priority.USER,
    reason: str | None = None,
    request_id: str | None = None,
) -> None:
    """Ask for a reconcile of `key`, now, or after the pause of one that workers end at (`crashed`). Part of the
    caller's transaction: intent and work are stored together.

    `request_id`: the request that it follows from, for logs and events of whoever does it.
    """
    wanted = {
        "key": key,
        "project_id": project_id,
        "priority": int(priority),
        "reason": reason,
        "request_id": request_id,
    }
    connection.execute(_request(connection.dialect.name), wanted)


def due(connection: Connection, each: int, limit: int, *, owner: str = "") -> list[Due]:
    """Keys that are due and that nobody else than `owner` holds, most urgent first: of each project's, by priority, the
    `each` that have waited longest. A project that has thousands costs its neighbours no place among the `limit`.

    The owner knows what it is at: what it holds besides it could not let go of, as the database did not answer."""
    given = {"each": each, "limit": limit, "owner": owner}
    return [Due(**row._mapping) for row in connection.execute(_DUE, given)]


def _columns() -> tuple[ColumnElement[Any], ...]:
    named = (work.c.key, work.c.project_id, work.c.priority, work.c.version)
    counted = (work.c.attempts, work.c.spent, work.c.crashes)
    late = (database_now() - work.c.due).label("late")
    return *named, *counted, late, work.c.request_id


def _waiting() -> Executable:
    others = lease.c.owner != bindparam("owner", type_=String)
    # Nobody asks for a longer pause, nor for such a lease: the database's clock was set back, perhaps by hours.
    beyond = database_now() + LONGEST_PAUSE
    held = and_(lease.c.key == work.c.key, lease.c.expires > database_now(), lease.c.expires <= beyond, others)
    ahead = work.c.due > beyond
    lane = func.row_number().over(partition_by=(work.c.priority, work.c.project_id), order_by=work.c.due)
    waiting = (
        select(*_columns(), work.c.due, lane.label("place"))
        .where(or_(work.c.due <= database_now(), ahead), ~select(lease.c.key).where(held).exists())
        .subquery()
    )
    shown = (waiting.c[name] for name in Due.__struct_fields__)
    return (
        select(*shown)
        .where(waiting.c.place <= bindparam("each", type_=Integer))
        .order_by(waiting.c.priority, waiting.c.place, waiting.c.due)
        .limit(bindparam("limit", type_=Integer))
    )


_DUE = _waiting()
_DONE = delete(work).where(work.c.key == bindparam("key"), work.c.version == bindparam("version"))
_SPENT = update(work).where(work.c.key == bindparam("of")).values(spent=work.c.spent + bindparam("took"), crashes=0)
_GOES_ON = (
    update(work)
    .where(work.c.key == bindparam("of"), work.c.since.is_not(None))
    .values(spent=work.c.spent + bindparam("took"))
)
_COUNTED_ANEW = update(work).where(work.c.key == bindparam("of")).values(since=database_now(), spent=0.0, crashes=0)
_NEXT = select(func.min(work.c.due) - database_now())
_ONE = select(*_columns()).where(work.c.key == bindparam("key"))


def one(connection: Connection, key: str) -> Due | None:
    """The work row of `key`, whether or not it is due."""
    row = connection.execute(_ONE, {"key": key}).one_or_none()
    return None if row is None else Due(**row._mapping)


def next_due(connection: Connection) -> float | None:
    """Seconds until the next row is due (negative when one is overdue); None without rows."""
    seconds: float | None = connection.execute(_NEXT).scalar_one()
    return seconds


def done(connection: Connection, key: str, version: int) -> bool:
    """Remove the row, unless more was asked for since `version`."""
    return bool(connection.execute(_DONE, {"key": key, "version": version}).rowcount)


def again(
    connection: Connection,
    key: str,
    version: int | None,
    after: float,
    reason: str,
    *,
    took: float = 0.0,
    settled: bool = False,
) -> bool:
    """Look again in `after` seconds, at most `LONGEST_PAUSE`. False: more was asked for since `version` (None: whatever
    was), and it stays due.

    `took`: seconds of this try. `settled`: all that was asked for is confirmed and only rests remain, so that what is
    asked for next is new. Tries at rests count from there, and go after what anybody asks for, however urgent it was.
    """
    unchanged = [] if version is None else [work.c.version == version]
    again = work.c.attempts + 1
    pause = min(after, LONGEST_PAUSE)
    values: list[tuple[Any, Any]] = [
        (work.c.due, database_now() + pause),
        (work.c.spent, 0.0 if settled else work.c.spent + took + pause),
        (work.c.reason, reason[:1024]),
        (work.c.attempts, case((work.c.since.is_not(None), 1), else_=again) if settled else again),
        (work.c.crashes, 0),
    ]
    if settled:
        # After `attempts`: MariaDB sets one column after the other, and shows what it has set.
        values += [(work.c.since, None), (work.c.priority, int(Priority.PERIODIC))]
    changed = connection.execute(update(work).where(work.c.key == key, *unchanged).ordered_values(*values))
    return bool(changed.rowcount)


def spend(connection: Connection, key: str, took: float) -> None:
    """A try of `took` seconds confirmed nothing, and more was asked for meanwhile."""
    connection.execute(_SPENT, {"of": key, "took": took})


def goes_on(connection: Connection, key: str, took: float) -> None:
    """The try that is under way took `took` seconds more: they count, however it ends, unless only rests remain."""
    connection.execute(_GOES_ON, {"of": key, "took": took})


def crashed(connection: Connection, key: str) -> None:
    """The worker that was at `key` ended in the midst of it, or stood still until its lease ended: that was a try.

    The first of such tries in a row delays nothing, as most of what a worker was at has nothing to do with its end.
    From the second on there are pauses, which count as other pauses do: by them a deadline passes that no try lives to
    see. The seconds of the try itself count as far as they are known (`goes_on`).
    """
    before = connection.execute(select(work.c.crashes).where(work.c.key == key)).scalar_one_or_none()
    if before is None:
        return
    crashes = before + 1
    values: dict[str, Any] = {"attempts": work.c.attempts + 1, "crashes": crashes, "reason": crash_reason(crashes)}
    if crashes >= SUSPICIOUS:
        pause = backoff(crashes)
        values["due"] = database_now() + pause
        values["spent"] = case((work.c.since.is_not(None), work.c.spent + pause), else_=work.c.spent)
    connection.execute(update(work).where(work.c.key == key).values(values))


def crash_reason(crashes: int) -> str:
    """Why it is not done, after so many tries in a row that ended with their worker."""
    return f"its worker ended in the midst of it{'' if crashes == 1 else f', {crashes} times in a row'}"


def count_anew(connection: Connection, key: str) -> None:
    """What was asked for so far is confirmed, or counts as asked for now: its age begins again."""
    connection.execute(_COUNTED_ANEW, {"of": key})
