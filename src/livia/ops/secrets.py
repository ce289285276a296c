"""`livia secret`: key material in the built-in vault, made and removed on this machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from livia.core.drivers import DriverError
from livia.core.model.secret import LARGEST, Authorities, KeyedCertificate, Material, RevocationLists
from livia.core.rules import certificates
from livia.core.rules.certificates import Unusable
from livia.core.rules.references import vault_id
from livia.drivers.secrets.local import Entry, InUseError, LocalVault
from livia.drivers.wake.datagram import DatagramWake
from livia.ops import drivers
from livia.ops.processes import Processes
from livia.ops.services import Installation
from livia.ops.settings import SettingsError
from livia.services import renewal
from livia.services.context import Context, Refused, new_uuid
from livia.services.waking import WakeAfterCommit
from livia.store import schema

#: bytes that are read of a passphrase, as many as OpenSSL's own programs take (PEM_BUFSIZE)
_LONGEST_PASSPHRASE = 1024


class SecretError(Exception):
    """Why it was not done, as one sentence."""


class Files(Struct, frozen=True, kw_only=True):
    """What a secret is made of. One of `certificate`, `pkcs12` and `bundle` (CA certificates, revocation lists)."""

    certificate: Path | None = None
    private_key: Path | None = None
    intermediates: Path | None = None
    pkcs12: Path | None = None
    bundle: Path | None = None


class Created(Struct, frozen=True):
    """A secret that was just made. `notes`: what its maker may not have meant, each a sentence."""

    reference: str
    notes: tuple[str, ...] = ()


def create(
    installation: Installation,
    files: Files,
    *,
    name: str = "",
    project_id: str | None = None,
    passphrase: str | None = None,
    ask: Callable[[], str] | None = None,
) -> Created:
    """Check the material and keep it. Raises SecretError.

    `project_id`: the only project whose load balancers may use it. `ask` tells the passphrase of a key that has one.
    """
    vault = _vault(installation)
    if len(name) > 255 or len(project_id or "") > 36:
        raise SecretError("A name has at most 255 characters, a project's id at most 36.")
    material, notes = _given(installation, files, passphrase, ask)
    return Created(vault.add(new_uuid(), material, name=name, project_id=project_id), notes)


class Replaced(Struct, frozen=True):
    """A secret that stands for something else now. `load_balancers`: how many use it; `notes`: as in `Created`."""

    reference: str
    load_balancers: int
    notes: tuple[str, ...] = ()


def replace_material(
    installation: Installation,
    name: str,
    files: Files,
    *,
    passphrase: str | None = None,
    ask: Callable[[], str] | None = None,
) -> Replaced:
    """Keep other material under a secret's reference, and give it to whatever uses it: all or nothing.

    `name`: reference, id or name. Raises SecretError, also where it does not do for what the secret is used for.
    """
    entry = _find(_vault(installation), name)
    material, notes = _given(installation, files, passphrase, ask)
    settings = installation.complete_settings
    with closing(DatagramWake(Path(settings.livia.wake_socket))) as wake:
        try:
            deps = Processes(settings, "livia secret").dependencies(wake)
            vault = drivers.vault(settings, deps.database, installation.clock)
        except SettingsError as error:
            raise SecretError(str(error)) from error
        deps = replace(deps, wake=WakeAfterCommit(deps.database, wake))

        def act() -> int:
            vault.replace(entry.reference, material)
            return len(renewal.renew(deps, Context(is_admin=True), entry.reference))

        try:
            return Replaced(entry.reference, deps.database.together(act), notes)
        except Refused as error:
            raise SecretError(f"{error.text} Nothing was replaced.") from error
        finally:
            deps.database.close()


def passphrase_in(path: Path) -> str:
    """The passphrase that a file holds. Raises SecretError."""
    try:
        with path.open("rb") as file:
            return read_passphrase(file, str(path))
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}.") from error


def read_passphrase(file: BinaryIO, name: str) -> str:
    """The one line of `file`, without its end. Raises SecretError where there is another number of lines."""
    lines = file.read(_LONGEST_PASSPHRASE + 1).splitlines()
    if len(lines) != 1 or not 0 < len(lines[0]) <= _LONGEST_PASSPHRASE:
        raise SecretError(f"{name} is to hold one line, the passphrase.")
    return os.fsdecode(lines[0])


def show_all(installation: Installation) -> None:
    """Print every secret: what it is, until when it holds, and who uses it. Raises SecretError."""
    vault = _vault(installation)
    for entry in vault.every():
        _print(entry, _lines(vault, entry, _now(installation)))


def show(installation: Installation, name: str) -> None:
    """Print everything about one secret but its key. `name`: reference, id or name. Raises SecretError."""
    vault = _vault(installation)
    entry = _find(vault, name)
    more = {"created": _moment(entry.created_at), "project": entry.project_id or "every project"}
    _print(entry, [*_lines(vault, entry, _now(installation), full=True), *more.items()])


def delete(installation: Installation, name: str, *, force: bool) -> None:
    """Forget a secret. `name`: reference, id or name. Raises SecretError while it is in use, unless forced."""
    vault = _vault(installation)
    entry = _find(vault, name)
    try:
        vault.remove(entry.reference, force=force)
    except InUseError as error:
        users = ", ".join(f"{user.kind} {user.name or user.id}" for user in error.users)
        raise SecretError(
            f"{entry.reference} is used by {users}: give them another one first, or delete it with --force."
        ) from error


def _vault(installation: Installation) -> LocalVault:
    if not installation.state.exists():
        raise SecretError(f"There is no Livia in {installation.state.directory}: 'livia up' makes one.")
    settings = installation.complete_settings
    if settings.certificates.cert_manager != drivers.VAULT:
        raise SecretError(
            f"The API does not read the vault: [certificates] cert_manager is {settings.certificates.cert_manager}."
        )
    database = installation.database()
    try:
        schema.check(database)
        return drivers.vault(settings, database, installation.clock)
    except (schema.SchemaError, SettingsError) as error:
        raise SecretError(str(error)) from error


def _find(vault: LocalVault, name: str) -> Entry:
    found = [each for each in vault.every() if name in (each.reference, vault_id(each.reference), each.name)]
    if not found:
        raise SecretError(f"There is no secret {name}.")
    if len(found) > 1:
        raise SecretError(f"{len(found)} secrets are named {name}: {', '.join(each.reference for each in found)}.")
    return found[0]


def _given(
    installation: Installation, files: Files, passphrase: str | None, ask: Callable[[], str] | None
) -> tuple[Material, tuple[str, ...]]:
    """What the files hold, and what their owner may not have meant. Raises SecretError."""
    if files.bundle is None:
        read = _read_keyed(files, passphrase, ask)
        return _kept(read), tuple(_notes(read, _now(installation)))
    if files.private_key or files.intermediates or passphrase:
        raise SecretError("A file of CA certificates or revocation lists has no key, intermediates or passphrase.")
    return _bundle(files.bundle), ()


def _read_keyed(files: Files, passphrase: str | None, ask: Callable[[], str] | None) -> KeyedCertificate:
    path = files.certificate or files.pkcs12
    assert path is not None  # noqa: S101 - the command line demands one of the three
    if files.pkcs12 and (files.private_key or files.intermediates):
        raise SecretError("A PKCS12 bundle has its key and intermediates in it: do not give them too.")
    material = Material(
        content=_content(path),
        private_key=_content(files.private_key) if files.private_key else None,
        intermediates=_content(files.intermediates) if files.intermediates else None,
        passphrase=os.fsencode(passphrase) if passphrase else None,
    )
    if material.passphrase is None and ask is not None and certificates.wants_passphrase(material):
        material = replace(material, passphrase=os.fsencode(ask()))
    read = certificates.keyed_certificate(material)
    if isinstance(read, Unusable):
        raise SecretError(f"{path} cannot be used: it {read.why}.")
    broken = certificates.broken_chain(read)
    if broken is not None:
        raise SecretError(f"{path} cannot be used: {broken}.")
    return read


def _kept(read: KeyedCertificate) -> Material:
    """The vault seals keys: a passphrase of their own adds nothing."""
    return Material(
        content=read.certificate,
        private_key=read.private_key,
        intermediates=b"".join(read.intermediates) or None,
    )


def _bundle(path: Path) -> Material:
    content = _content(path)
    if certificates.holds_private_key(content):
        raise SecretError(f"{path} holds a private key: give a certificate with its key as --certificate.")
    material = Material(content=content)
    trusted, revoked = certificates.authorities(material), certificates.revocation_lists(material)
    if isinstance(trusted, Unusable) and isinstance(revoked, Unusable):
        raise SecretError(f"{path} cannot be used: it {trusted.why}, and it {revoked.why}.")
    return material


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > LARGEST:
        raise SecretError(f"{path} has more than {LARGEST} bytes.")
    return content


def _notes(read: KeyedCertificate, now: datetime) -> Iterator[str]:
    said = certificates.describe(read.certificate)
    if said.expires < now:
        yield f"The certificate expired on {_moment(said.expires)}."
    if not read.intermediates and said.issuer != said.subject:
        yield f"There are no intermediates: clients that do not know {said.issuer} will refuse the certificate."


def _lines(vault: LocalVault, entry: Entry, now: datetime, *, full: bool = False) -> list[tuple[str, str]]:
    """What is told of a secret, each with its title."""
    users = [
        f"{user.kind} {user.name} ({user.id})" if user.name else f"{user.kind} {user.id}" for user in entry.used_by
    ]
    used = [("used by", ", ".join(users) or "nobody")]
    try:
        material = vault.material(entry)
    except DriverError as error:
        return [("problem", f"it {error.message}"), *used]
    if material.private_key is None:
        return [*_of_bundle(material, now), *used]
    told = list(_of_certificate("certificate", material.content, now, full=full))
    chain = certificates.authorities(Material(content=material.intermediates or b""))
    if full and isinstance(chain, Authorities):
        for pem in chain.certificates:
            told += _of_certificate("intermediate", pem, now, full=False)
    return [*told, *used]


def _of_bundle(material: Material, now: datetime) -> Iterator[tuple[str, str]]:
    trusted, revoked = certificates.authorities(material), certificates.revocation_lists(material)
    if isinstance(trusted, Authorities):
        for pem in trusted.certificates:
            yield from _of_certificate("CA certificate", pem, now, full=False)
    if isinstance(revoked, RevocationLists):
        for pem in revoked.lists:
            said = certificates.describe_revocation_list(pem)
            yield "revocation list", f"of {said.issuer}, {said.entries} revoked"
            if said.next_update is not None:
                yield "next update", _moment(said.next_update)


def _of_certificate(title: str, pem: bytes, now: datetime, *, full: bool) -> Iterator[tuple[str, str]]:
    said = certificates.describe(pem)
    yield title, said.subject or "(no subject)"
    if title == "certificate":
        yield "names", ", ".join(said.names)
    if full:
        yield "issuer", said.issuer or "(no subject)"
        yield "serial number", f"{said.serial_number:x}"
        yield "valid from", _moment(said.starts)
    days = (said.expires - now).days
    left = "it has expired" if days < 0 else "in 1 day" if days == 1 else f"in {days} days"
    yield "expires", f"{_moment(said.expires)} ({left})"


def _print(entry: Entry, lines: list[tuple[str, str]]) -> None:
    print(entry.reference)
    for title, text in [("name", entry.name)] * bool(entry.name) + lines:
        print(f"    {title:16}{_printable(text)}")


def _printable(text: str) -> str:
    """Names in certificates are anybody's: nothing of them may move the cursor."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _now(installation: Installation) -> datetime:
    return installation.clock.now().replace(tzinfo=UTC)
