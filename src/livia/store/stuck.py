"""What is PENDING and has nobody at it: none should be, and none stays so (design, promise 2)."""

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, exists, func, or_, select, update

from livia.core.model.status import PENDING, AmphoraStatus, Provisioning
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS
from livia.store import tables as t
from livia.store.conditions import has_work
from livia.store.engine import database_now

_CHILDREN = (t.listener, t.pool, t.member, t.health_monitor, t.l7policy, t.l7rule)


class Stuck(Struct, frozen=True, kw_only=True):
    """`key`: of the work that is missing; `what` is PENDING, e.g. `member`; None: the load balancer is."""

    key: str
    project_id: str | None
    status: str
    what: str | None = None


def load_balancers(connection: Connection) -> list[Stuck]:
    """Load balancers of the built-in provider that are PENDING, and that no worker holds or has work for."""
    table = t.load_balancer
    found = connection.execute(
        select(table.c.id, table.c.project_id, table.c.provisioning_status).where(
            table.c.provisioning_status.in_(PENDING), table.c.provider.in_(BUILT_IN_PROVIDERS), _unattended(table)
        )
    )
    return [Stuck(key=row.id, project_id=row.project_id, status=row.provisioning_status) for row in found]


def end_of(connection: Connection, after: str, many: int) -> str | None:
    """The last of the next `many` load balancers by id; None: there are none after `after`."""
    ids = select(t.load_balancer.c.id).where(t.load_balancer.c.id > after).order_by(t.load_balancer.c.id).limit(many)
    last: str | None = connection.execute(select(func.max(ids.subquery().c.id))).scalar_one()
    return last


def children(connection: Connection, after: str, last: str) -> list[Stuck]:
    """Load balancers that are ACTIVE, with something of theirs that is PENDING and that nobody has work for: of those
    with ids after `after`, to `last`. What it costs follows them, not the tables."""
    table = t.load_balancer
    found: dict[str, Stuck] = {}
    for child in _CHILDREN:
        owner = child.c.load_balancer_id
        rows = connection.execute(
            select(table.c.id, table.c.project_id, child.c.provisioning_status)
            .join_from(child, table, owner == table.c.id)
            .where(
                owner > after,
                owner <= last,
                child.c.provisioning_status.in_(PENDING),
                table.c.provisioning_status == Provisioning.ACTIVE,
                table.c.provider.in_(BUILT_IN_PROVIDERS),
                _unattended(table),
            )
        )
        for row in rows:
            found[row.id] = Stuck(
                key=row.id, project_id=row.project_id, status=row.provisioning_status, what=child.name
            )
    return list(found.values())


def amphorae(connection: Connection) -> list[Stuck]:
    """Amphorae of no load balancer that somebody wants deleted, and that nobody has work for."""
    table = t.amphora
    found = connection.execute(
        select(table.c.id, table.c.status).where(
            table.c.load_balancer_id.is_(None), table.c.status == AmphoraStatus.PENDING_DELETE, _unattended(table)
        )
    )
    return [Stuck(key=row.id, project_id=None, status=row.status, what="amphora") for row in found]


def reopen(connection: Connection, load_balancer_id: str) -> bool:
    """Have an ACTIVE load balancer confirmed once more, with what of it is PENDING. False: it is not ACTIVE now."""
    changed = connection.execute(
        update(t.load_balancer)
        .where(t.load_balancer.c.id == load_balancer_id, t.load_balancer.c.provisioning_status == Provisioning.ACTIVE)
        .values(provisioning_status=str(Provisioning.PENDING_UPDATE))
    )
    return changed.rowcount == 1


def _unattended(table: Table) -> ColumnElement[bool]:
    held = exists().where(t.lease.c.key == table.c.id, t.lease.c.expires > database_now())
    return ~or_(has_work(table.c.id), held)
