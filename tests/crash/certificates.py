"""Certificates that tenants' listeners and pools may show, in the secret store of a machine."""

from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.crash.vault import Vault
from tests.keymaterial import Holder

#: each is for the one name
NAMES = tuple(f"{letter}.tls.example" for letter in "abcd")
#: who signed them
ISSUER = Holder("issuer", authority=True)


class Certificates:
    """One for each of `NAMES`, which every tenant may use."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = Lock()
        #: references to names
        self.names: dict[str, str] = {}
        self._newest: dict[str, Holder] = {}
        for name in NAMES:
            holder = Holder(name, dns_names=(name,), issuer=ISSUER)
            self.names[vault.create(name, holder.text().encode(), bundle=False)] = name
            self._newest[name] = holder

    @property
    def references(self) -> list[str]:
        """All of them."""
        return list(self.names)

    def whose(self, der: bytes) -> str:
        """The name that a certificate is for, if it is the newest one for that."""
        return next((name for name, holder in self._newest.items() if _der(holder) == der), "one that was replaced")

    def newest(self, reference: str | None) -> bytes | None:
        """The certificate that a reference stands for now, in its DER form."""
        return None if reference is None else _der(self._newest[self.names[reference]])

    def renew(self, reference: str) -> str:
        """Replace one; how that ended. Raises UndecidedError."""
        with self._lock:
            name = self.names[reference]
            holder = Holder(name, dns_names=(name,), issuer=ISSUER)

            def is_it(kept: bytes) -> bool:
                return x509.load_pem_x509_certificate(kept) == holder.certificate

            refused = self._vault.replace(reference, holder.text().encode(), is_it, bundle=False)
            if refused is not None:
                return f"{name} is not: {refused}"
            self._newest[name] = holder
            return f"{name} is"


def _der(holder: Holder) -> bytes:
    return holder.certificate.public_bytes(Encoding.DER)
