"""TLS of a listener, and towards members.

Key material is named by `name_of` its PEM and travels beside the spec (`Assignment.material`): equal specs mean
equal certificates, and no spec holds a key.
"""

import hashlib

from msgspec import Struct

from livia.core.model.listener import ClientAuthentication


def name_of(pem: str) -> str:
    """The name of key material: SHA-256 of its PEM, 64 hex characters."""
    return hashlib.sha256(pem.encode()).hexdigest()


class HstsSpec(Struct, frozen=True, kw_only=True):
    """HTTP Strict Transport Security (RFC 6797). `max_age` in seconds."""

    max_age: int
    include_subdomains: bool = False
    preload: bool = False


class TerminationSpec(Struct, frozen=True, kw_only=True):
    """How a listener ends its clients' TLS. `certificates` name PEM texts that each hold a certificate, its
    intermediates and its key; the first is for clients that ask for no name we have."""

    certificates: tuple[str, ...]
    client_authentication: ClientAuthentication = ClientAuthentication.NONE
    client_ca: str | None = None
    client_crl: str | None = None
    #: OpenSSL's list; TLS 1.3 suites among it are told apart by the agent
    ciphers: str
    versions: tuple[str, ...]
    alpn: tuple[str, ...]
    hsts: HstsSpec | None = None

    def material(self) -> frozenset[str]:
        """The names of all that it needs."""
        return frozenset(each for each in (*self.certificates, self.client_ca, self.client_crl) if each is not None)


class MemberTlsSpec(Struct, frozen=True, kw_only=True):
    """TLS towards a pool's members. Without `ca` their certificates are not verified (contract 30, A6)."""

    certificate: str | None = None
    ca: str | None = None
    crl: str | None = None
    ciphers: str
    versions: tuple[str, ...]
    alpn: tuple[str, ...]

    def material(self) -> frozenset[str]:
        """The names of all that it needs."""
        return frozenset(each for each in (self.certificate, self.ca, self.crl) if each is not None)
