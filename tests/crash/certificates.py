"""Certificates that tenants' listeners may show, in the secret store of a machine."""

import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from livia.ops import secrets
from livia.ops.services import Installation
from tests.keymaterial import Holder

#: each is for the one name
NAMES = tuple(f"{letter}.tls.example" for letter in "abcd")


class Certificates:
    """One for each of `NAMES`, which every tenant may use."""

    def __init__(self, installation: Installation) -> None:
        #: references to names
        self.names: dict[str, str] = {}
        self._shown: dict[bytes, str] = {}
        with tempfile.TemporaryDirectory() as directory:
            for name in NAMES:
                holder = Holder(name, dns_names=(name,))
                path = Path(directory) / name
                path.write_text(holder.text())
                created = secrets.create(installation, secrets.Files(certificate=path), name=name)
                self.names[created.reference] = name
                self._shown[holder.certificate.public_bytes(Encoding.DER)] = name

    @property
    def references(self) -> list[str]:
        """All of them."""
        return list(self.names)

    def whose(self, der: bytes) -> str:
        """The name that a certificate is for."""
        return self._shown.get(der, "a certificate of nobody's")
