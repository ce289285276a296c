"""Key material that listeners and pools name by reference: as a secret store has it, and as it was read."""

from datetime import datetime
from enum import Enum

from msgspec import Struct

#: bytes of one part; a revocation list of a hundred thousand certificates is below
LARGEST = 4 << 20


class Use(Enum):
    """What an attribute takes its material for."""

    CERTIFICATE = "certificate"
    AUTHORITY = "authority"
    REVOCATION_LIST = "revocation list"


class Named(Struct, frozen=True):
    """A reference and what it is for: the same text may be meant in two ways."""

    use: Use
    reference: str


class Material(Struct, frozen=True, kw_only=True):
    """What a reference stands for, unread.

    `content`: a certificate, a CA bundle or a revocation list in PEM, perhaps with key and intermediates in the same
    text; or a PKCS12 bundle (RFC 7292). The other parts are PEM, where the store keeps them apart. `passphrase`
    protects the key or the bundle.
    """

    content: bytes
    private_key: bytes | None = None
    intermediates: bytes | None = None
    passphrase: bytes | None = None

    def __repr__(self) -> str:
        # Tracebacks and logs show values: never these.
        return "Material(...)"


class KeyedCertificate(Struct, frozen=True, kw_only=True):
    """A certificate whose key we have. PEM; the key is not encrypted. `expires`: UTC.

    `intermediates`: the certificate's issuer first, and so on, as far as they are related.
    """

    certificate: bytes
    private_key: bytes
    intermediates: tuple[bytes, ...] = ()
    common_name: str | None
    dns_names: tuple[str, ...]
    expires: datetime

    def __repr__(self) -> str:
        return f"KeyedCertificate(common_name={self.common_name!r}, dns_names={self.dns_names!r})"


class Authorities(Struct, frozen=True):
    """Certificates that the other side's certificate must lead to, each in PEM."""

    certificates: tuple[bytes, ...]


class RevocationLists(Struct, frozen=True):
    """What the authorities have revoked, each list in PEM (RFC 5280, section 5)."""

    lists: tuple[bytes, ...]
