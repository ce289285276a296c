"""One authority takes another's place, and nobody is locked out meanwhile.

In three steps, with time between them: a new one is made, and trusted beside the one that signs; then it signs, and the
earlier one is still trusted; then, when nothing of the earlier one has been in use for a while, that is dropped. Each
step may break off anywhere, and opening the authority finishes it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from livia.core.clock import Clock, SystemClock
from livia.pki.authority import AUTHORITY_LIFE, Authority, AuthorityError, create, fingerprint, made, write_private
from livia.pki.supplied import Supplied, SuppliedFiles

_SYSTEM = SystemClock()


class Rollover:
    """The authority in one directory, in time. Raises AuthorityError where its files are damaged.

    `ca.*` signs; `next.*` is trusted already and will sign; `old.pem` is trusted and signs nothing any more; `begun`
    says when `next.*` came, `unused` since when nobody is known to use `old.pem`. With `supplied` none is made: what
    the operator has there comes.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        clock: Clock = _SYSTEM,
        *,
        life: timedelta = AUTHORITY_LIFE,
        supplied: SuppliedFiles | None = None,
    ) -> None:
        self.directory = directory
        self.name = name
        self.supplied = supplied
        self._clock = clock
        self._life = life

    @property
    def trust_path(self) -> Path:
        """PEM of whatever is trusted now: for verifiers, who read it anew when it changes."""
        return self.directory / "trusted.pem"

    def open(self) -> Authority:
        """The authority that signs now, made if there is none."""
        with self._alone():
            return self._mended()

    def coming(self) -> x509.Certificate | None:
        """The authority that is to sign next."""
        return _read(self.directory / "next.pem")

    def leaving(self) -> x509.Certificate | None:
        """The authority that signed before, and is still trusted."""
        return _read(self.directory / "old.pem")

    def trusted(self) -> tuple[str, ...]:
        """Fingerprints of whatever is trusted now."""
        return tuple(map(fingerprint, x509.load_pem_x509_certificates(self.trust_path.read_bytes())))

    def since(self) -> timedelta:
        """How long ago the last roll-over began; without one, the authority that signs was made."""
        now, begun = self._clock.now(), self.directory / "begun"
        if begun.exists():
            return now - datetime.fromisoformat(begun.read_text())
        newest = self.coming() or _read(self.directory / "ca.pem")
        return timedelta(0) if newest is None else now.replace(tzinfo=UTC) - made(newest)

    def note_use(self, *, used: bool) -> timedelta:
        """Keep whether anybody is known to use the authority that leaves; for how long nobody has been, this time
        included."""
        noted, now = self.directory / "unused", self._clock.now()
        if used:
            noted.unlink(missing_ok=True)
            return timedelta(0)
        since = datetime.fromisoformat(noted.read_text()) if noted.exists() else now
        # In the future: the clock was set back, perhaps by years. It counts anew.
        if not noted.exists() or since > now:
            write_private(noted, now.isoformat().encode())
            return timedelta(0)
        return now - since

    def awaits(self) -> bool:
        """Whether the operator supplies an authority that has no part in this one yet. Raises AuthorityError."""
        if self.supplied is None:
            return False
        pem = self.supplied.read(self._clock).pem
        present = (self.directory / f"{stem}.pem" for stem in ("ca", "next", "old"))
        return all(not path.exists() or path.read_bytes() != pem for path in present)

    def begin(self) -> bool:
        """Have an authority that comes, and trust it. False: there is one already, or the last one has not left, or
        the one that the operator supplies signs. Raises AuthorityError where that cannot be used."""
        with self._alone():
            signing = self._mended()
            if self.coming() is not None or self.leaving() is not None:
                return False
            comes = None if self.supplied is None else self.supplied.read(self._clock)
            if comes is not None and not _differs(signing, comes):
                return False
            write_private(self.directory / "begun", self._clock.now().isoformat().encode())
            if comes is None:
                create(self.directory, self.name, self._clock, stem="next", life=self._life)
            else:
                comes.write(self.directory, "next")
            self._trust()
            return True

    def promote(self) -> None:
        """Let the authority that comes sign from now on; the earlier one stays trusted."""
        with self._alone():
            self._mended()
            if self.coming() is None:
                return
            ca, coming = self.directory / "ca.pem", self.directory / "next.pem"
            # Of the roll-over before, should that have broken off at its end.
            (self.directory / "unused").unlink(missing_ok=True)
            write_private(self.directory / "old.pem", ca.read_bytes())
            write_private(ca, coming.read_bytes())
            self._mended()

    def drop(self) -> None:
        """Trust the earlier authority no more."""
        with self._alone():
            (self.directory / "old.pem").unlink(missing_ok=True)
            (self.directory / "unused").unlink(missing_ok=True)
            self._mended()

    def ends(self) -> datetime:
        """When the authority that signs now ends, UTC."""
        return self.open().expires

    def _mended(self) -> Authority:
        """Finish what broke off, and open."""
        ca, coming = self.directory / "ca.pem", self.directory / "next.pem"
        if ca.exists() and coming.exists() and ca.read_bytes() == coming.read_bytes():
            # `promote` got as far as the certificate: the key follows it.
            key = self.directory / "next.key"
            if key.exists():
                write_private(self.directory / "ca.key", key.read_bytes())
            coming.unlink()
            key.unlink(missing_ok=True)
        if self.supplied is not None and not ca.exists():
            self.supplied.read(self._clock).write(self.directory, "ca")
        authority = Authority.open(self.directory, self.name, self._clock)
        self._trust()
        return authority

    def _trust(self) -> None:
        wanted: dict[bytes, None] = {}
        for stem in ("ca", "next", "old"):
            path = self.directory / f"{stem}.pem"
            if path.exists():
                wanted[path.read_bytes()] = None
        bundle = b"".join(wanted)
        if not self.trust_path.exists() or self.trust_path.read_bytes() != bundle:
            write_private(self.trust_path, bundle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """The house and an operator's command do not meet."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _differs(signing: Authority, comes: Supplied) -> bool:
    """Whether it is another authority. Raises AuthorityError for one that could not be told from it by its key."""
    ours = x509.load_pem_x509_certificate(signing.certificate_path.read_bytes())
    if ours.public_key() == comes.certificate.public_key() and ours.subject != comes.certificate.subject:
        # Certificates say by the key who signed them, and are verified by the name too.
        raise AuthorityError(
            "[certificates] ca_certificate has the key of the authority that signs now, and another name: make it with "
            "a key of its own."
        )
    return ours != comes.certificate


def _read(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise AuthorityError(f"{path} holds no certificate ({error}): restore it, or remove it.") from error
