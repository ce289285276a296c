"""Secrets that cost nothing: for tests and benchmarks of everything above them (`noop_cert_manager`)."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from livia.core.model.secret import Material

_LIFE = timedelta(days=365)


class NoopSecrets:
    """A SecretStore that knows every reference: one text that serves as certificate, authority and revocation list."""

    def read(self, reference: str, project_id: str | None) -> Material:
        return Material(content=_everything())


@cache
def _everything() -> bytes:
    """A self-signed certificate, its key, and its empty revocation list, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "noop")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    revoked = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(now)
        .next_update(now + _LIFE)
        .sign(key, hashes.SHA256())
    )
    return b"".join(
        (
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            revoked.public_bytes(Encoding.PEM),
        )
    )
