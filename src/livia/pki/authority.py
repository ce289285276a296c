"""The built-in certificate authorities.

Two, so that neither side can pose as the other (design, section 7): one signs what agents present, the other
what controllers present. Keys are P-256: a handshake costs a fraction of RSA's. Key files have mode 0600
from their first byte on.
"""

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from livia.core.clock import Clock, SystemClock

#: of authorities; ours have P-256
AuthorityKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

AUTHORITY_LIFE = timedelta(days=3650)
#: contract 90, [certificates] cert_validity_time
CERTIFICATE_LIFE = timedelta(seconds=2592000)
#: how far a clock may be set back, or be behind that of another machine, before what was issued is not valid yet there
_SKEW = timedelta(days=7)
_SYSTEM = SystemClock()


class AuthorityError(Exception):
    """An authority's files cannot be read; the message names the file and what to do."""


class Authority:
    """One certificate authority in one directory: `ca.pem` for everybody, `ca.key` for us.

    `trusted.pem` is what its certificates are verified with: itself, and while it is rolled over the one that comes
    or the one that leaves as well (`livia.pki.rollover`).
    """

    def __init__(self, directory: Path, certificate: x509.Certificate, key: AuthorityKey, clock: Clock) -> None:
        self._directory = directory
        self._certificate = certificate
        self._key = key
        self._clock = clock

    @property
    def certificate_path(self) -> Path:
        return self._directory / "ca.pem"

    @property
    def expires(self) -> datetime:
        """UTC."""
        return self._certificate.not_valid_after_utc

    @classmethod
    def open(cls, directory: Path, name: str, clock: Clock = _SYSTEM) -> "Authority":
        """The authority in `directory`, made now if the directory does not hold one.

        Raises AuthorityError when its files are there but damaged.
        """
        certificate_path, key_path = directory / "ca.pem", directory / "ca.key"
        if not certificate_path.exists():
            create(directory, name, clock)
        try:
            certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        except (OSError, ValueError) as error:
            raise AuthorityError(
                f"The certificate authority in {directory} cannot be read ({error}): restore ca.pem and ca.key there, "
                "or remove both to make a new one."
            ) from error
        if not isinstance(key, AuthorityKey) or key.public_key() != certificate.public_key():
            raise AuthorityError(f"{key_path} is not the key of {certificate_path}: restore the one that is.")
        return cls(directory, certificate, key, clock)

    def issue(self, name: str, *, addresses: tuple[str, ...] = (), life: timedelta = CERTIFICATE_LIFE) -> bytes:
        """PEM of a new certificate and its key. `name` becomes the common name and a DNS name."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = self._clock.now().replace(tzinfo=UTC)
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ip_address(address)) for address in addresses]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(min(now + life, self._certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_identifier), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM) + _key_pem(key)

    def due(self, path: Path, name: str, buffer: timedelta) -> str | None:
        """Why the certificate in `path` is to be issued anew; None while it may stay: it names `name`, comes from this
        authority and lasts longer than `buffer`."""
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError):
            return "there is none that can be read"
        if certificate.subject.rfc4514_string() != f"CN={name}":
            return f"it does not name {name}"
        return self.moved_on(key_id(certificate), certificate.not_valid_after_utc, buffer)

    def moved_on(self, issuer: str, expires: datetime, buffer: timedelta) -> str | None:
        """Why a certificate with this issuer's key (`key_id`) and end (UTC) is to be issued anew; None: it may stay."""
        if issuer != self.key_id:
            return "it comes from another authority"
        left = expires - self._clock.now().replace(tzinfo=UTC)
        # An authority near its own end signs nothing that lasts longer.
        if left < buffer and expires < self._certificate.not_valid_after_utc:
            return f"it ends in {left.total_seconds() / 86400:.1f} days"
        return None

    @property
    def key_id(self) -> str:
        """What certificates of this authority have as `key_id`."""
        return self._key_identifier.digest.hex()

    @property
    def _key_identifier(self) -> x509.SubjectKeyIdentifier:
        """What the authority's certificate says, however that was made (RFC 5280, section 4.2.1.1)."""
        try:
            return self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())


def create(directory: Path, name: str, clock: Clock, *, stem: str = "ca", life: timedelta = AUTHORITY_LIFE) -> None:
    """Make an authority, and keep it."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = clock.now().replace(tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_authority(directory, stem, certificate, key)


def write_authority(directory: Path, stem: str, certificate: x509.Certificate, key: AuthorityKey) -> None:
    """Keep an authority: `<stem>.key` and then `<stem>.pem`, which is what says that it exists."""
    write_private(directory / f"{stem}.key", _key_pem(key))
    write_private(directory / f"{stem}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def made(certificate: x509.Certificate) -> datetime:
    """When an authority or a certificate of ours was made, UTC."""
    return certificate.not_valid_before_utc + _SKEW


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, 64 hex characters."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_id(certificate: x509.Certificate) -> str:
    """Which key signed a certificate, 40 hex characters; empty where it does not say."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    return (found or b"").hex()


def expires(pem: bytes) -> datetime:
    """When the first certificate in `pem` ends, UTC. Raises ValueError when there is none."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one step, readable by its owner only."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)


def _key_pem(key: AuthorityKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
