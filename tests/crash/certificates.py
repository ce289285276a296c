"""Certificates that tenants' listeners may show, in the secret store of a machine."""

import tempfile
import time
from contextlib import closing
from pathlib import Path
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.exc import OperationalError

from livia.core.drivers import DriverError
from livia.ops import drivers, secrets
from livia.ops.services import Installation
from tests.crash.client import UndecidedError
from tests.keymaterial import Holder

#: each is for the one name
NAMES = tuple(f"{letter}.tls.example" for letter in "abcd")
#: seconds in which it must be possible to find out whether a certificate was replaced
_PATIENCE = 180.0


class Certificates:
    """One for each of `NAMES`, which every tenant may use."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._lock = Lock()
        #: references to names
        self.names: dict[str, str] = {}
        self._newest: dict[str, Holder] = {}
        for name in NAMES:
            holder = Holder(name, dns_names=(name,))
            with tempfile.TemporaryDirectory() as directory:
                files = _files(Path(directory), holder)
                self.names[secrets.create(installation, files, name=name).reference] = name
            self._newest[name] = holder

    @property
    def references(self) -> list[str]:
        """All of them."""
        return list(self.names)

    def whose(self, der: bytes) -> str:
        """The name that a certificate is for, if it is the newest one for that."""
        return next((name for name, holder in self._newest.items() if _der(holder) == der), "one that was replaced")

    def renew(self, reference: str) -> str:
        """What `livia secret replace` does, once; how that ended, which is found out where it does not say.

        Raises UndecidedError.
        """
        with self._lock, tempfile.TemporaryDirectory() as directory:
            name = self.names[reference]
            holder = Holder(name, dns_names=(name,))
            try:
                secrets.replace_material(self._installation, reference, _files(Path(directory), holder))
            except (secrets.SecretError, OperationalError, OSError) as error:
                if self._kept(reference) != holder.certificate:
                    return f"it is not: {error}"
            self._newest[name] = holder
            return "it is"

    def _kept(self, reference: str) -> x509.Certificate:
        """The certificate that the store has."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            try:
                with closing(self._installation.database()) as database:
                    vault = drivers.vault(self._installation.complete_settings, database, self._installation.clock)
                    return x509.load_pem_x509_certificate(vault.read(reference, None).content)
            except (DriverError, OperationalError, OSError):
                time.sleep(0.2)
        raise UndecidedError(f"nobody says whether {reference} was replaced")


def _files(directory: Path, holder: Holder) -> secrets.Files:
    path = directory / "certificate.pem"
    path.write_text(holder.text())
    return secrets.Files(certificate=path)


def _der(holder: Holder) -> bytes:
    return holder.certificate.public_bytes(Encoding.DER)
