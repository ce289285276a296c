"""What agents and controllers tell each other about their certificates (contract 95, section 1.3)."""

from datetime import datetime

from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True):
    """Answer to `GET` and to `PUT /v1/certificate`: what new connections are served with."""

    #: SHA-256 of the agent's certificate, 64 hex characters
    fingerprint: str
    #: key identifier of the authority that it comes from, 40 hex characters
    issuer: str
    #: UTC
    expires: datetime
    #: fingerprints of the authorities whose controllers get in
    trusted: tuple[str, ...]


class Renewal(Struct, frozen=True, kw_only=True):
    """Body of `PUT /v1/certificate`. `certificate`: PEM of certificate and key, None: keep the present one;
    `client_ca`: PEM of the authorities whose controllers get in from now on, None: as now."""

    certificate: str | None = None
    client_ca: str | None = None
