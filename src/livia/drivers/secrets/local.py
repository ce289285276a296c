"""The built-in vault: secrets in the database, sealed with a key that is not in it (AES-256-GCM)."""

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, RowMapping

from livia.core.clock import Clock
from livia.core.drivers import SealBroken, SecretNotFound, SecretUnreadable
from livia.core.model.secret import Material
from livia.core.rules.references import vault_id, vault_reference
from livia.drivers.secrets.seal import KeySeal
from livia.store import secrets as store
from livia.store.engine import Database
from livia.store.secrets import User

_decoder = msgspec.msgpack.Decoder(Material)


class Entry(Struct, frozen=True, kw_only=True):
    """A secret without its material. `used_by`: objects that name it."""

    reference: str
    name: str
    project_id: str | None
    created_at: datetime
    used_by: tuple[User, ...]


class InUseError(Exception):
    """Objects name the secret."""

    def __init__(self, users: tuple[User, ...]) -> None:
        super().__init__("The secret is in use.")
        self.users = users


class LocalVault:
    """A SecretStore (`livia.core.drivers`), and what the command line needs to manage secrets.

    A secret with a project is for that project's load balancers only, one without is for all.
    """

    def __init__(self, database: Database, key: bytes, clock: Clock) -> None:
        """`key`: `seal.KEY_LENGTH` bytes."""
        self._database = database
        self._seal = KeySeal(key)
        self._clock = clock

    def read(self, reference: str, project_id: str | None) -> Material:
        row = self._row(reference)
        if row is None or row["project_id"] not in (None, project_id):
            raise SecretNotFound
        return self._unseal(row)

    def material(self, entry: Entry) -> Material:
        """The material of a secret, whatever its project. Raises SecretNotFound, SecretUnreadable."""
        row = self._row(entry.reference)
        if row is None:
            raise SecretNotFound
        return self._unseal(row)

    def add(self, secret_id: str, material: Material, *, name: str = "", project_id: str | None = None) -> str:
        """Keep a secret. Its reference."""
        sealed = self._seal.seal(msgspec.msgpack.encode(material), secret_id)

        def insert(connection: Connection) -> None:
            now = self._clock.now()
            store.add(connection, secret_id=secret_id, name=name, project_id=project_id, sealed=sealed, now=now)

        self._database.transaction(insert)
        return vault_reference(secret_id)

    def replace(self, reference: str, material: Material) -> None:
        """Keep other material under the reference of a secret that is there."""
        secret_id = vault_id(reference)
        assert secret_id is not None  # noqa: S101 - references come from `every`
        sealed = self._seal.seal(msgspec.msgpack.encode(material), secret_id)
        self._database.transaction(lambda connection: store.replace(connection, secret_id, sealed))

    def every(self) -> tuple[Entry, ...]:
        """All secrets, oldest first."""
        with self._database.read() as connection:
            return tuple(_entry(connection, row) for row in store.every(connection))

    def remove(self, reference: str, *, force: bool = False) -> None:
        """Forget a secret. Raises InUseError without `force` while objects name it."""
        secret_id = vault_id(reference)
        assert secret_id is not None  # noqa: S101 - references come from `every`

        def act(connection: Connection) -> None:
            users = tuple(store.users(connection, reference))
            if users and not force:
                raise InUseError(users)
            store.remove(connection, secret_id)

        self._database.transaction(act)

    def _row(self, reference: str) -> RowMapping | None:
        secret_id = vault_id(reference)
        if secret_id is None:
            return None
        with self._database.read() as connection:
            return store.one(connection, secret_id)

    def _unseal(self, row: RowMapping) -> Material:
        try:
            return _decoder.decode(self._seal.open(row["sealed"], row["id"]))
        except (SealBroken, ValueError) as error:
            raise SecretUnreadable("was sealed with another key than this service's, or is damaged") from error


def _entry(connection: Connection, row: RowMapping) -> Entry:
    reference = vault_reference(row["id"])
    return Entry(
        reference=reference,
        name=row["name"],
        project_id=row["project_id"],
        created_at=row["created_at"],
        used_by=tuple(store.users(connection, reference)),
    )
