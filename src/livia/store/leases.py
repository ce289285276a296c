"""Leases: who may reconcile a key, until when, under which fencing number (design, sections 1 and 4).

Compare-and-swap with the row count checked: exactly-once on SQLite, PostgreSQL, MariaDB and Galera alike. Only
the database's clock is used.
"""

from functools import cache

from msgspec import Struct
from sqlalchemy import BindParameter, Connection, Double, Executable, and_, bindparam, or_, select, update

from livia.store.engine import database_now
from livia.store.tables import lease
from livia.store.upsert import insert_missing


class Lease(Struct, frozen=True, kw_only=True):
    """`fence` is higher than that of every earlier holder of the key.

    `deserter`: whom it was taken from, who neither renewed it nor let go of it.
    """

    key: str
    owner: str
    fence: int
    deserter: str | None = None


_KEY: BindParameter[str] = bindparam("of_key")
_OWNER: BindParameter[str] = bindparam("of_owner")
_FENCE: BindParameter[int] = bindparam("of_fence")
_OURS = and_(lease.c.key == _KEY, lease.c.owner == _OWNER, lease.c.fence == _FENCE)
_SECONDS: BindParameter[float] = bindparam("seconds", type_=Double)
_UNTIL = database_now() + _SECONDS
_LONGEST: BindParameter[float] = bindparam("longest", type_=Double)
#: nobody holds a lease for so long: the database's clock was set back, and by it a dead holder's would last for hours
_ENDLESS = lease.c.expires > database_now() + _LONGEST
# Made once, and bound: a lease is taken and let go for every change.
_HELD = select(lease.c.fence, lease.c.owner).where(lease.c.key == _KEY)
_ALL = select(lease.c.key, lease.c.fence).where(lease.c.owner == _OWNER).order_by(lease.c.key)
_NEXT = (
    update(lease)
    .where(
        lease.c.key == _KEY,
        lease.c.fence == _FENCE,
        or_(lease.c.owner.is_(None), lease.c.owner == _OWNER, lease.c.expires <= database_now(), _ENDLESS),
    )
    .values(owner=_OWNER, expires=_UNTIL, fence=lease.c.fence + 1)
)
_RENEW = update(lease).where(_OURS).values(expires=_UNTIL)
_RELEASE = update(lease).where(_OURS).values(owner=None, expires=0.0)


@cache
def _first(dialect: str) -> Executable:
    return insert_missing(dialect, lease, {"key": _KEY, "owner": _OWNER, "expires": _UNTIL, "fence": 1})


def take(connection: Connection, key: str, owner: str, seconds: float, *, longest: float | None = None) -> Lease | None:
    """The lease on `key` for `seconds`, or None while somebody else holds it. `longest`: for how many seconds anybody
    takes or renews it at one time, twice `seconds` unless told.

    An owner takes its own lease again: `owner` must be unique to one running process, which a caller proves by a
    lock that dies with it.
    """
    held = connection.execute(_HELD, {"of_key": key}).one_or_none()
    if held is None:
        first = {"of_key": key, "of_owner": owner, "seconds": seconds}
        inserted = connection.execute(_first(connection.dialect.name), first)
        return Lease(key=key, owner=owner, fence=1) if inserted.rowcount == 1 else None
    most = 2 * seconds if longest is None else longest
    taken = connection.execute(
        _NEXT, {"of_key": key, "of_owner": owner, "of_fence": held.fence, "seconds": seconds, "longest": most}
    )
    deserter = None if held.owner == owner else held.owner
    return Lease(key=key, owner=owner, fence=held.fence + 1, deserter=deserter) if taken.rowcount == 1 else None


def renew(connection: Connection, held: Lease, seconds: float) -> bool:
    """Hold on for `seconds` from now; False when the lease was lost meanwhile."""
    return connection.execute(_RENEW, {**_names(held), "seconds": seconds}).rowcount == 1


def release(connection: Connection, held: Lease) -> bool:
    """Let others have the key. The row stays, for its fence must never go back. False: it was not ours any more."""
    return connection.execute(_RELEASE, _names(held)).rowcount == 1


def _names(held: Lease) -> dict[str, str | int]:
    return {"of_key": held.key, "of_owner": held.owner, "of_fence": held.fence}


def release_all(connection: Connection, owner: str) -> list[str]:
    """Drop what an earlier life of `owner` held when it was killed. The keys that this freed: each is told to one of
    those who ask at the same time."""
    held = [Lease(key=row.key, owner=owner, fence=row.fence) for row in connection.execute(_ALL, {"of_owner": owner})]
    return [each.key for each in held if release(connection, each)]
