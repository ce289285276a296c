"""What waits to be done, in numbers: bounded reads by index, however large the tables are."""

from msgspec import Struct
from sqlalchemy import Connection, func, select

from livia.core.model.status import PENDING
from livia.store.engine import database_now
from livia.store.tables import load_balancer, work

#: rows that are looked at; a queue of so many is long, and how long no longer matters
MOST = 10_000


class Backlog(Struct, frozen=True, kw_only=True):
    """`due`: rows by priority, held by a worker or not; `deferred`: rows that are due later.

    `oldest`, `age`: seconds that the first due row is due, and since the oldest pending change was asked for; 0: none.
    """

    due: dict[int, int]
    oldest: float
    deferred: int
    pending: int
    age: float


def read(connection: Connection) -> Backlog:
    """How much there is to do."""
    now = database_now()
    rows = select(work.c.priority, work.c.due, now.label("now")).order_by(work.c.due).limit(MOST).subquery()
    due: dict[int, int] = {}
    oldest, deferred = 0.0, 0
    each = select(rows.c.priority, rows.c.due <= rows.c.now, func.count(), func.max(rows.c.now - rows.c.due)).group_by(
        rows.c.priority, rows.c.due <= rows.c.now
    )
    for priority, is_due, count, late in connection.execute(each):
        if is_due:
            due[priority] = count
            oldest = max(oldest, late)
        else:
            deferred += count
    pending, age = _pending(connection)
    return Backlog(due=due, oldest=oldest, deferred=deferred, pending=pending, age=age)


def _pending(connection: Connection) -> tuple[int, float]:
    """An object is PENDING only while its load balancer is, and that only while it has a row of work."""
    rows = select(work.c.key, work.c.since).order_by(work.c.due).limit(MOST).subquery()
    status = load_balancer.c.provisioning_status
    count, since = connection.execute(
        select(func.count(), func.min(rows.c.since))
        .join_from(rows, load_balancer, load_balancer.c.id == rows.c.key)
        .where(status.in_([str(each) for each in PENDING]))
    ).one()
    if since is None:
        return count, 0.0
    return count, max(0.0, connection.execute(select(database_now() - since)).scalar_one())
