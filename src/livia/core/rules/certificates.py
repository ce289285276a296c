"""Whether key material can be used: PEM and PKCS12 read by value (contract 20, section 7, rows 21 to 24)."""

from datetime import datetime
from enum import Enum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from msgspec import Struct

from livia.core.model.secret import Authorities, KeyedCertificate, Material, RevocationLists

#: PEM labels (RFC 7468, section 4)
_CERTIFICATE = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_REVOCATION_LIST = frozenset({"X509 CRL"})
_PRIVATE_KEY = frozenset({"PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"})
#: DER of a PKCS12 bundle starts with a SEQUENCE (RFC 7292, section 4)
_SEQUENCE = b"\x30"
#: by which the library says that what it was given is not well formed, or not known to it
_MALFORMED = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Fault(Enum):
    """What the contract tells apart, by the number of its row."""

    UNREADABLE = "21"
    PKCS12 = "21, PKCS12"
    NAMELESS = "22"
    AUTHORITY = "23"
    REVOCATION_LIST = "24"


class Unusable(Struct, frozen=True):
    """Material that cannot be used. `why` follows the reference in a sentence: "has no private key"."""

    fault: Fault
    why: str


class Details(Struct, frozen=True, kw_only=True):
    """What a certificate says about itself. Moments are UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial_number: int
    starts: datetime
    expires: datetime


class RevocationDetails(Struct, frozen=True, kw_only=True):
    """What a revocation list says about itself. `entries`: how many certificates it revokes."""

    issuer: str
    entries: int
    next_update: datetime | None


class _UnusableError(Exception):
    def __init__(self, why: str, fault: Fault = Fault.UNREADABLE) -> None:
        super().__init__(why)
        self.unusable = Unusable(fault, why)


def keyed_certificate(material: Material) -> KeyedCertificate | Unusable:
    """The certificate with its key and intermediates, from PEM or PKCS12."""
    try:
        if material.content.startswith(_SEQUENCE):
            return _from_pkcs12(material)
        return _from_pem(material)
    except _UnusableError as error:
        return error.unusable


def authorities(material: Material) -> Authorities | Unusable:
    """Every certificate of a PEM text."""
    try:
        found = _certificates(material.content)
    except _UnusableError as error:
        return Unusable(Fault.AUTHORITY, error.unusable.why)
    if not found:
        return Unusable(Fault.AUTHORITY, "holds no certificate in PEM form")
    return Authorities(tuple(map(_pem, found)))


def revocation_lists(material: Material) -> RevocationLists | Unusable:
    """Every certificate revocation list of a PEM text."""
    blocks = [block for label, block in _blocks(material.content) if label in _REVOCATION_LIST]
    if not blocks:
        return Unusable(Fault.REVOCATION_LIST, "holds no certificate revocation list in PEM form")
    for block in blocks:
        try:
            found = x509.load_pem_x509_crl(block)
            # Read now, as with certificates.
            _ = found.issuer, found.next_update_utc, len(found)
        except _MALFORMED:
            return Unusable(Fault.REVOCATION_LIST, "holds a certificate revocation list that cannot be read")
    return RevocationLists(tuple(blocks))


def issued_by(revoked: RevocationLists, authority: Authorities) -> bool:
    """Whether each list is signed by one of the authorities."""
    issuers = [x509.load_pem_x509_certificate(each) for each in authority.certificates]
    lists = [x509.load_pem_x509_crl(each) for each in revoked.lists]
    return all(any(_signed(each, issuer) for issuer in issuers) for each in lists)


def broken_chain(certificate: KeyedCertificate) -> str | None:
    """What is wrong with the intermediates: a phrase, or None. Clients get them in their order (RFC 5246, 7.4.2)."""
    holder = x509.load_pem_x509_certificate(certificate.certificate)
    for position, pem in enumerate(certificate.intermediates):
        issuer = x509.load_pem_x509_certificate(pem)
        try:
            holder.verify_directly_issued_by(issuer)
        except (InvalidSignature, *_MALFORMED):
            before = f"intermediate {position}" if position else "the certificate"
            return f"intermediate {position + 1} ({issuer.subject.rfc4514_string()}) did not issue {before}"
        holder = issuer
    return None


def describe(pem: bytes) -> Details:
    """What a certificate that could be read says about itself."""
    certificate = x509.load_pem_x509_certificate(pem)
    common_name, dns_names = _names(certificate)
    return Details(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=tuple(dict.fromkeys((*([common_name] if common_name else []), *dns_names))),
        serial_number=certificate.serial_number,
        starts=certificate.not_valid_before_utc,
        expires=certificate.not_valid_after_utc,
    )


def describe_revocation_list(pem: bytes) -> RevocationDetails:
    """What a revocation list that could be read says about itself."""
    found = x509.load_pem_x509_crl(pem)
    return RevocationDetails(
        issuer=found.issuer.rfc4514_string(), entries=len(found), next_update=found.next_update_utc
    )


def wants_passphrase(material: Material) -> bool:
    """Whether the key cannot be had without one."""
    if material.content.startswith(_SEQUENCE):
        return isinstance(keyed_certificate(material), Unusable)
    return b"ENCRYPTED" in (material.content if material.private_key is None else material.private_key)


def holds_private_key(content: bytes) -> bool:
    """Whether a PEM text has one."""
    return any(label in _PRIVATE_KEY for label, _block in _blocks(content))


def _from_pem(material: Material) -> KeyedCertificate:
    found = _certificates(material.content)
    if not found:
        raise _UnusableError("holds no certificate in PEM form")
    text = material.content if material.private_key is None else material.private_key
    keys = [block for label, block in _blocks(text) if label in _PRIVATE_KEY]
    if not keys:
        raise _UnusableError("has no private key in PEM form")
    more: list[x509.Certificate] = []
    if material.intermediates is not None:
        more = _certificates(material.intermediates)
        if not more:
            raise _UnusableError("has intermediates without a certificate in PEM form")
    return _keyed(found[0], _private_key(keys[0], material.passphrase), [*found[1:], *more])


def _from_pkcs12(material: Material) -> KeyedCertificate:
    if b"\x00" in (material.passphrase or b""):
        # The library would end the thread: C strings end there.
        raise _UnusableError("has a passphrase with a NUL character", Fault.PKCS12)
    try:
        bundle = pkcs12.load_pkcs12(material.content, material.passphrase)
    except _MALFORMED as error:
        raise _UnusableError("is no PKCS12 bundle, or its passphrase is another", Fault.PKCS12) from error
    if bundle.key is None or bundle.cert is None:
        raise _UnusableError("has no certificate with a private key", Fault.PKCS12)
    return _keyed(bundle.cert.certificate, bundle.key, [each.certificate for each in bundle.additional_certs])


def _keyed(leaf: x509.Certificate, key: PrivateKeyTypes, chain: list[x509.Certificate]) -> KeyedCertificate:
    if not _belongs(key, leaf):
        raise _UnusableError("has a private key that does not belong to its certificate")
    common_name, dns_names = _names(leaf)
    if not common_name and not dns_names:
        raise _UnusableError("has neither a common name nor a DNS name", Fault.NAMELESS)
    return KeyedCertificate(
        certificate=_pem(leaf),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        intermediates=tuple(map(_pem, _in_order(leaf, chain))),
        common_name=common_name,
        dns_names=dns_names,
        expires=leaf.not_valid_after_utc,
    )


def _in_order(leaf: x509.Certificate, chain: list[x509.Certificate]) -> list[x509.Certificate]:
    """Each issuer after what it issued, by name; PKCS12 bundles keep no order. What is left over comes last."""
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for each in chain:
        by_subject.setdefault(each.subject, []).append(each)
    ordered, holder = list[x509.Certificate](), leaf
    while issuers := by_subject.get(holder.issuer):
        holder = issuers.pop(0)
        ordered.append(holder)
    return [*ordered, *(each for left in by_subject.values() for each in left)]


def _private_key(pem: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not passphrase:
        raise _UnusableError("has an encrypted private key and no passphrase for it")
    try:
        return load_pem_private_key(pem, passphrase if encrypted else None)
    except _MALFORMED as error:
        also = ", or its passphrase is another" if encrypted else ""
        raise _UnusableError(f"has a private key that cannot be read{also}") from error


def _certificates(content: bytes) -> list[x509.Certificate]:
    """Those of a PEM text, each with a readable subject, issuer and key."""
    found = []
    for label, block in _blocks(content):
        if label in _CERTIFICATE:
            try:
                certificate = x509.load_pem_x509_certificate(block)
                # The library reads these when asked for, and nobody who asks later expects an error.
                _ = certificate.subject, certificate.issuer, certificate.public_key(), _names(certificate)
                found.append(certificate)
            except _MALFORMED as error:
                raise _UnusableError("holds a certificate that cannot be read") from error
    return found


def _blocks(content: bytes) -> list[tuple[str, bytes]]:
    """The encapsulated texts of a PEM text with their labels (RFC 7468, section 2), in one pass."""
    found: list[tuple[str, bytes]] = []
    label, lines = "", list[bytes]()
    for line in content.splitlines():
        text = line.strip()
        if text.startswith(b"-----BEGIN ") and text.endswith(b"-----"):
            label, lines = text[11:-5].decode("ascii", "replace"), []
        lines.append(text)
        if label and text == f"-----END {label}-----".encode():
            found.append((label, b"\n".join(lines) + b"\n"))
            label = ""
    return found


def _names(certificate: x509.Certificate) -> tuple[str | None, tuple[str, ...]]:
    """The common name and the DNS names."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = common[0].value if common else None
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        dns_names: list[str] = []
    else:
        dns_names = alternatives.get_values_for_type(x509.DNSName)
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name, tuple(dns_names)


def _signed(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    if revoked.issuer != issuer.subject:
        return False
    try:
        return revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except _MALFORMED:
        # A key that cannot sign raises TypeError.
        return False


def _belongs(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    except _MALFORMED:
        return False


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
