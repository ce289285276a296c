"""Rows of the built-in vault, and which objects name a secret."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, RowMapping, delete, insert, literal, select, union_all, update

from livia.store.tables import listener, pool, secret, sni


class User(Struct, frozen=True):
    """An object that names a secret. `kind`: listener or pool."""

    kind: str
    id: str
    name: str


def add(
    connection: Connection, *, secret_id: str, name: str, project_id: str | None, sealed: bytes, now: datetime
) -> None:
    """Insert a secret. Raises IntegrityError when the id is taken."""
    connection.execute(
        insert(secret).values(id=secret_id, name=name, project_id=project_id, sealed=sealed, created_at=now)
    )


def one(connection: Connection, secret_id: str) -> RowMapping | None:
    """A secret's row."""
    return connection.execute(select(secret).where(secret.c.id == secret_id)).mappings().one_or_none()


def every(connection: Connection) -> Sequence[RowMapping]:
    """All secrets' rows, oldest first."""
    return connection.execute(select(secret).order_by(secret.c.created_at, secret.c.id)).mappings().all()


def hold(connection: Connection, secret_id: str) -> None:
    """Have nobody else replace a secret before the end of the transaction."""
    connection.execute(select(secret.c.id).where(secret.c.id == secret_id).with_for_update())


def replace(connection: Connection, secret_id: str, sealed: bytes) -> None:
    """Other material in a secret's row."""
    connection.execute(update(secret).where(secret.c.id == secret_id).values(sealed=sealed))


def remove(connection: Connection, secret_id: str) -> None:
    """Forget a secret."""
    connection.execute(delete(secret).where(secret.c.id == secret_id))


_LISTENER_COLUMNS = (
    listener.c.tls_certificate_id,
    listener.c.client_ca_tls_certificate_id,
    listener.c.client_crl_container_id,
)
_POOL_COLUMNS = (pool.c.tls_certificate_id, pool.c.ca_tls_certificate_id, pool.c.crl_container_id)


def users(connection: Connection, reference: str) -> list[User]:
    """The objects that name a secret, each once."""
    by_name = select(sni.c.listener_id).where(sni.c.tls_container_id == reference)
    columns = (literal("listener").label("kind"), listener.c.id, listener.c.name)
    query = union_all(
        *(select(*columns).where(column == reference) for column in _LISTENER_COLUMNS),
        select(*columns).where(listener.c.id.in_(by_name)),
        *(
            select(literal("pool").label("kind"), pool.c.id, pool.c.name).where(column == reference)
            for column in _POOL_COLUMNS
        ),
    )
    return list(dict.fromkeys(User(kind, object_id, name or "") for kind, object_id, name in connection.execute(query)))
