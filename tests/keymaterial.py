"""Certificates, keys, revocation lists and PKCS12 bundles for tests. P-256: made in a millisecond."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from livia.pki.supplied import SuppliedFiles

_NOW = datetime.now(UTC)
_LIFE = timedelta(days=30)


def _encryption(passphrase: bytes | None) -> KeySerializationEncryption:
    return NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)


class Holder:
    """A certificate and its key, signed by another holder or by itself."""

    def __init__(
        self,
        common_name: str | None,
        *,
        dns_names: Sequence[str] = (),
        issuer: "Holder | None" = None,
        organization: str | None = None,
        authority: bool = False,
        expired: bool = False,
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        parts = [] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization is not None:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        name = x509.Name(parts)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject if issuer else name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - _LIFE)
            .not_valid_after(_NOW - _LIFE / 2 if expired else _NOW + _LIFE)
        )
        if dns_names:
            names = x509.SubjectAlternativeName([x509.DNSName(each) for each in dns_names])
            builder = builder.add_extension(names, critical=False)
        if authority:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate: x509.Certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, passphrase: bytes | None = None) -> bytes:
        """The key, with a passphrase encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))

    def pkcs12(self, passphrase: bytes | None = None, chain: "Sequence[Holder]" = ()) -> bytes:
        """Certificate, key and intermediates in one bundle."""
        more = [each.certificate for each in chain]
        return pkcs12.serialize_key_and_certificates(b"x", self.key, self.certificate, more, _encryption(passphrase))

    def text(self, *chain: "Holder") -> str:
        """Certificate, intermediates and key in one PEM, as amphorae are sent it."""
        return b"".join((self.pem, *(each.pem for each in chain), self.key_pem())).decode()

    def revocation_list(self, *revoked: "Holder") -> bytes:
        """A list that this holder signs, with the certificates of `revoked` in it. Who sees an earlier time, by some
        days, takes it, too."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(_NOW - _LIFE / 2).build())
        signed = builder.last_update(_NOW - _LIFE / 4).next_update(_NOW + _LIFE).sign(self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM)


#: the same ones for all tests
ROOT = Holder("root", authority=True)
INTERMEDIATE = Holder("intermediate", issuer=ROOT, authority=True)
WEB = Holder("www.example.net", dns_names=("www.example.net", "example.net"), issuer=INTERMEDIATE)
OTHER = Holder("other.example.net")
NAMELESS = Holder(None)


def write_root(
    directory: Path,
    name: str,
    *,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
    passphrase: bytes | None = None,
    life: timedelta = timedelta(days=3650),
    signs: bool = True,
    issuer: str = "",
) -> SuppliedFiles:
    """A root as operators make them, for what agents present: `ca.pem` and `ca.key` in `directory`.

    `signs`: whether it says that it is an authority. `issuer`: whose name it has as such, if not its own.
    """
    directory.mkdir(exist_ok=True)
    key = key or ec.generate_private_key(ec.SECP384R1())
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer or name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - timedelta(days=365))
        .not_valid_after(_NOW + life)
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        # Other programs make it otherwise than ours (RFC 5280, section 4.2.1.2, leaves that open).
        .add_extension(x509.SubjectKeyIdentifier(name.encode().ljust(20, b"-")), critical=False)
    )
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (directory / "ca.pem").write_bytes(b"a comment, as openssl writes them\n" + pem)
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase))
    (directory / "ca.key").write_bytes(content)
    told = "" if passphrase is None else passphrase.decode()
    return SuppliedFiles(certificate=directory / "ca.pem", private_key=directory / "ca.key", passphrase=told)
