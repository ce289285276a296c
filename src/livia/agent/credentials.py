"""The agent's own certificate, and whom it lets in: renewed while it serves."""

import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import structlog
from cryptography import x509

from livia.agent import disk
from livia.agent.errors import RefusalError
from livia.agent.https import tls_context
from livia.core.credentials import Credentials, Renewal
from livia.pki.authority import fingerprint, key_id
from livia.pki.reloading import ReloadingContext

log = structlog.get_logger()


class CertificateRefusedError(RefusalError):
    """What was sent cannot take the place of what is there, which stays."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__("certificate_refused", message, details=details, status=400)


class AgentCredentials:
    """The files `certificate` and `client_ca`. `name`: what the certificate must say.

    Raises OSError or ssl.SSLError where they cannot be used.
    """

    def __init__(self, certificate: Path, client_ca: Path, name: str) -> None:
        self._certificate = certificate
        self._client_ca = client_ca
        self._name = name
        self._lock = Lock()
        self.context = ReloadingContext((certificate, client_ca), lambda: tls_context(certificate, client_ca))

    def now(self) -> Credentials:
        """What is served now."""
        own = x509.load_pem_x509_certificate(self._certificate.read_bytes())
        return Credentials(
            fingerprint=fingerprint(own),
            issuer=key_id(own),
            expires=own.not_valid_after_utc,
            trusted=_fingerprints(self._client_ca.read_bytes()),
        )

    def renew(self, renewal: Renewal) -> Credentials:
        """Serve new connections with these from now on; those that are open go on. Raises CertificateRefusedError,
        PlumbingError where they cannot be kept."""
        with self._lock:
            certificate = self._certificate.read_bytes() if renewal.certificate is None else _bytes(renewal.certificate)
            client_ca = self._client_ca.read_bytes() if renewal.client_ca is None else _bytes(renewal.client_ca)
            self._check(certificate, client_ca)
            # Authorities first: whatever happens in between, nobody is locked out.
            for path, content in ((self._client_ca, client_ca), (self._certificate, certificate)):
                if path.read_bytes() != content:
                    disk.write(path, content)
            self.context.current()
        log.info("certificate renewed", expires=self.now().expires.isoformat())
        return self.now()

    def _check(self, certificate: bytes, client_ca: bytes) -> None:
        try:
            own = x509.load_pem_x509_certificate(certificate)
            trusted = _fingerprints(client_ca)
        except ValueError as error:
            raise CertificateRefusedError("It is no PEM certificate.", str(error)) from error
        if own.subject.rfc4514_string() != f"CN={self._name}":
            subject = own.subject.rfc4514_string()[:200]
            raise CertificateRefusedError(f"The certificate is for {subject}, and this agent is CN={self._name}.")
        if own.not_valid_after_utc <= datetime.now(UTC):
            raise CertificateRefusedError(f"The certificate ended at {own.not_valid_after_utc.isoformat()}.")
        if not set(trusted) & set(_fingerprints(self._client_ca.read_bytes())):
            raise CertificateRefusedError(
                "No authority of controllers that is trusted now would still be: nobody could get in any more. "
                "A roll-over trusts both for a while."
            )
        _try_out(certificate, client_ca, self._certificate.parent)


def _try_out(certificate: bytes, client_ca: bytes, beside: Path) -> None:
    """Whether OpenSSL takes them: the key is the certificate's."""
    with tempfile.TemporaryDirectory(prefix=".renewal-", dir=beside) as directory:
        own, authorities = Path(directory, "own.pem"), Path(directory, "authorities.pem")
        disk.write(own, certificate, durable=False)
        disk.write(authorities, client_ca, durable=False)
        try:
            tls_context(own, authorities)
        except (OSError, ssl.SSLError) as error:
            raise CertificateRefusedError("The certificate cannot be used with its key.", str(error)) from error


def _fingerprints(pem: bytes) -> tuple[str, ...]:
    return tuple(map(fingerprint, x509.load_pem_x509_certificates(pem)))


def _bytes(text: str) -> bytes:
    return text.encode("ascii", "replace")
