"""An authority that the operator supplies (contract 90, [certificates] ca_certificate and ca_private_key)."""

from datetime import UTC
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct

from livia.core.clock import Clock
from livia.pki.authority import AuthorityError, AuthorityKey, write_authority

#: bits of an RSA key below which OpenSSL's security level 2, that of distributions, takes no certificate
_RSA_LEAST = 2048


class SuppliedFiles(Struct, frozen=True, kw_only=True):
    """Where it is, in PEM. `passphrase`: of the key; empty: it has none."""

    certificate: Path
    private_key: Path
    passphrase: str = ""

    def read(self, clock: Clock) -> "Supplied":
        """The authority as the files are now. Raises AuthorityError, for whoever wrote their names."""
        certificate = self._certificate()
        now = clock.now().replace(tzinfo=UTC)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            raise self._unusable(
                f"it holds from {starts:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC, which is not now"
            )
        why = _no_authority(certificate)
        if why is not None:
            raise self._unusable(why)
        return Supplied(certificate, self._key(certificate))

    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except OSError as error:
            raise self._unusable(f"it cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise self._unusable("it holds no certificate in PEM form") from error

    def _key(self, certificate: x509.Certificate) -> AuthorityKey:
        where = f"[certificates] ca_private_key = {self.private_key}"
        password = self.passphrase.encode() or None
        try:
            key = serialization.load_pem_private_key(self.private_key.read_bytes(), password)
        except OSError as error:
            raise AuthorityError(f"{where} cannot be read ({error.strerror}).") from error
        except TypeError as error:
            needs = "is not encrypted: do not set" if password else "is encrypted: set"
            raise AuthorityError(f"{where} {needs} ca_private_key_passphrase.") from error
        except ValueError as error:
            other = ", or ca_private_key_passphrase is another" if password else ""
            raise AuthorityError(f"{where} holds no private key in PEM form{other}.") from error
        if not isinstance(key, AuthorityKey):
            raise AuthorityError(f"{where} is neither an RSA nor an elliptic curve key.")
        if key.public_key() != certificate.public_key():
            raise AuthorityError(f"{where} is not the key of ca_certificate = {self.certificate}.")
        return key

    def _unusable(self, why: str) -> AuthorityError:
        return AuthorityError(f"[certificates] ca_certificate = {self.certificate} cannot be used: {why}.")


class Supplied(Struct, frozen=True):
    """What the files hold."""

    certificate: x509.Certificate
    key: AuthorityKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, directory: Path, stem: str) -> None:
        """Have it as `<stem>.key` and `<stem>.pem` in `directory`, readable by its owner only."""
        write_authority(directory, stem, self.certificate, self.key)


def _no_authority(certificate: x509.Certificate) -> str | None:
    """Why what a certificate signs would be verified by nobody."""
    if certificate.issuer != certificate.subject:
        return f"it was issued by {certificate.issuer.rfc4514_string()}, and is to be a root, which issued itself"
    extensions = certificate.extensions
    try:
        authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        authority = False
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True
    if not (authority and signs):
        return "it is no authority's: the basic constraint CA, or the key usage keyCertSign, is missing"
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_LEAST:
        return f"its key has {key.key_size} bits, and needs {_RSA_LEAST}"
    return None
