"""Answers to requests that brought an Idempotency-Key: kept with what the request made."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from livia.store.tables import idempotency


class Answered(Struct, frozen=True):
    """What was answered. `fingerprint`: a digest of the request; `status`: of HTTP."""

    fingerprint: str
    status: int
    body: bytes


def answered(connection: Connection, key: str, since: datetime) -> Answered | None:
    """The answer that a key got since a moment (naive UTC)."""
    columns = (idempotency.c.fingerprint, idempotency.c.status, idempotency.c.body)
    row = connection.execute(
        select(*columns).where(idempotency.c.id == key, idempotency.c.created_at > since)
    ).one_or_none()
    return None if row is None else Answered(*row)


def add(connection: Connection, key: str, answer: Answered, now: datetime, since: datetime) -> None:
    """Keep an answer, in place of one from before `since`. Raises IntegrityError when the key has one already."""
    connection.execute(delete(idempotency).where(idempotency.c.id == key, idempotency.c.created_at <= since))
    connection.execute(
        insert(idempotency).values(
            id=key, fingerprint=answer.fingerprint, status=answer.status, body=answer.body, created_at=now
        )
    )
