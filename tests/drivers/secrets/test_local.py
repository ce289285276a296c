"""The built-in vault: what is in the database cannot be read without the key, nor exchanged."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select, update

from livia.core.clock import SystemClock
from livia.core.drivers import SecretNotFound, SecretUnreadable
from livia.core.model.secret import LARGEST, Material
from livia.core.rules.references import vault_reference
from livia.drivers.secrets.local import InUseError, LocalVault
from livia.services.context import new_uuid
from livia.store import tables as t
from livia.store.engine import Database
from livia.store.secrets import User
from tests.api.harness import Harness
from tests.keymaterial import WEB

MATERIAL = Material(content=WEB.pem, private_key=WEB.key_pem(), intermediates=b"i", passphrase=b"p")
LARGE = Material(content=b"x" * LARGEST)


@dataclass
class Kept:
    """A vault on a database, and the application that names its secrets."""

    harness: Harness
    vault: LocalVault

    @property
    def database(self) -> Database:
        return self.harness.database


@pytest.fixture
def kept(anywhere: Harness) -> Kept:
    return Kept(anywhere, LocalVault(anywhere.database, b"k" * 32, SystemClock()))


def test_a_secret_comes_back(kept: Kept) -> None:
    reference = kept.vault.add(new_uuid(), MATERIAL, name="web")
    large = kept.vault.add(new_uuid(), LARGE, project_id="p")
    assert kept.vault.read(reference, "any") == MATERIAL
    assert kept.vault.read(large, "p") == LARGE
    for project_id in ("q", None):
        with pytest.raises(SecretNotFound):
            kept.vault.read(large, project_id)
    for unknown in ("", "x", vault_reference(new_uuid()), vault_reference("x"), f"{reference}/", reference.upper()):
        with pytest.raises(SecretNotFound):
            kept.vault.read(unknown, "p")
    assert [(entry.reference, entry.name) for entry in kept.vault.every()] == [(reference, "web"), (large, "")]


def test_the_database_alone_tells_nothing(kept: Kept) -> None:
    one, two = (kept.vault.add(new_uuid(), MATERIAL) for _ in range(2))
    with kept.database.read() as connection:
        rows = connection.execute(select(t.secret)).mappings().all()
    assert all(b"BEGIN" not in row["sealed"] for row in rows)
    assert rows[0]["sealed"] != rows[1]["sealed"]
    with pytest.raises(SecretUnreadable, match="another key"):
        LocalVault(kept.database, b"l" * 32, SystemClock()).read(one, None)
    # A row in the place of another, and a damaged one.
    with kept.database.write() as connection:
        for row, sealed in zip(rows, (rows[1]["sealed"], rows[1]["sealed"][:5]), strict=True):
            connection.execute(update(t.secret).where(t.secret.c.id == row["id"]).values(sealed=sealed))
    for reference in (one, two):
        with pytest.raises(SecretUnreadable):
            kept.vault.read(reference, None)


def test_what_is_named_is_not_removed(kept: Kept) -> None:
    reference = kept.vault.add(new_uuid(), MATERIAL)
    tree = kept.harness.tree()
    kept.vault.remove(kept.vault.add(new_uuid(), MATERIAL))
    columns = {
        t.listener: ("tls_certificate_id", "client_ca_tls_certificate_id", "client_crl_container_id"),
        t.pool: ("tls_certificate_id", "ca_tls_certificate_id", "crl_container_id"),
    }
    users = {t.listener: User("listener", tree.listener, "http"), t.pool: User("pool", tree.pool, "blue")}
    for table, names in columns.items():
        for name in names:
            for value, expected in ((reference, (users[table],)), (None, ())):
                with kept.database.write() as connection:
                    connection.execute(update(table).values({name: value}))
                (entry,) = kept.vault.every()
                assert entry.used_by == expected, name
                if expected:
                    with pytest.raises(InUseError) as caught:
                        kept.vault.remove(reference)
                    assert caught.value.users == expected
    with kept.database.write() as connection:
        connection.execute(t.sni.insert().values(listener_id=tree.listener, tls_container_id=reference, position=0))
    assert kept.vault.every()[0].used_by == (users[t.listener],)
    kept.vault.remove(reference, force=True)
    assert kept.vault.every() == ()
