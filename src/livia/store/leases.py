"""Leases: who may reconcile a key, until when, under which fencing number (design, sections 1 and 4).

Compare-and-swap with the row count checked: exactly-once on SQLite, PostgreSQL, MariaDB and Galera alike. Only
the database's clock is used.
"""

from msgspec import Struct
from sqlalchemy import Connection, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from livia.store.engine import database_now
from livia.store.tables import lease


class Lease(Struct, frozen=True, kw_only=True):
    """`fence` is higher than that of every earlier holder of the key."""

    key: str
    owner: str
    fence: int


def take(connection: Connection, key: str, owner: str, seconds: float) -> Lease | None:
    """The lease on `key` for `seconds`, or None while somebody else holds it.

    An owner takes its own lease again: `owner` must be unique to one running process, which a caller proves by a
    lock that dies with it.
    """
    now = database_now()
    held = connection.execute(select(lease.c.fence).where(lease.c.key == key)).scalar_one_or_none()
    if held is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(lease).values(key=key, owner=owner, expires=now + seconds, fence=1))
        except IntegrityError:
            return None
        return Lease(key=key, owner=owner, fence=1)
    taken = connection.execute(
        update(lease)
        .where(
            lease.c.key == key,
            lease.c.fence == held,
            or_(lease.c.owner.is_(None), lease.c.owner == owner, lease.c.expires <= now),
        )
        .values(owner=owner, expires=now + seconds, fence=held + 1)
    )
    return Lease(key=key, owner=owner, fence=held + 1) if taken.rowcount == 1 else None


def renew(connection: Connection, held: Lease, seconds: float) -> bool:
    """Hold on for `seconds` from now; False when the lease was lost meanwhile."""
    renewed = connection.execute(
        update(lease)
        .where(lease.c.key == held.key, lease.c.owner == held.owner, lease.c.fence == held.fence)
        .values(expires=database_now() + seconds)
    )
    return renewed.rowcount == 1


def release(connection: Connection, held: Lease) -> None:
    """Let others have the key. The row stays, for its fence must never go back."""
    connection.execute(
        update(lease)
        .where(lease.c.key == held.key, lease.c.owner == held.owner, lease.c.fence == held.fence)
        .values(owner=None, expires=0.0)
    )


def release_all(connection: Connection, owner: str) -> int:
    """Drop what an earlier life of `owner` held when it was killed. How many keys that freed."""
    return connection.execute(update(lease).where(lease.c.owner == owner).values(owner=None, expires=0.0)).rowcount
