"""References to key material: their syntax, what each attribute uses them for, and what is said of bad ones."""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from livia.core.model.secret import Authorities, KeyedCertificate, Material, Named, RevocationLists, Use
from livia.core.rules import certificates
from livia.core.rules.certificates import Fault, Unusable
from livia.core.rules.verdict import ACCEPT, Refuse, Verdict, invalid

_VAULT = "livia://secrets/"
_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
#: neither a path nor a hidden file
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")


Uses: TypeAlias = Mapping[str, Use]
Reading: TypeAlias = KeyedCertificate | Authorities | RevocationLists | Unusable

#: attributes of a listener that name material, in the order in which they are checked
LISTENER: Uses = {
    "default_tls_container_ref": Use.CERTIFICATE,
    "sni_container_refs": Use.CERTIFICATE,
    "client_ca_tls_container_ref": Use.AUTHORITY,
    "client_crl_container_ref": Use.REVOCATION_LIST,
}
#: the same of a pool
POOL: Uses = {
    "tls_container_ref": Use.CERTIFICATE,
    "ca_tls_container_ref": Use.AUTHORITY,
    "crl_container_ref": Use.REVOCATION_LIST,
}


Readings: TypeAlias = Mapping[Named, Reading]


def vault_reference(secret_id: str) -> str:
    """The reference of a secret in the built-in vault."""
    return f"{_VAULT}{secret_id}"


def vault_id(reference: str) -> str | None:
    """The id in a reference of the built-in vault; None for any other text."""
    secret_id = reference.removeprefix(_VAULT)
    return secret_id if reference.startswith(_VAULT) and _UUID.fullmatch(secret_id) else None


def file_name(reference: str) -> str | None:
    """A reference that can be the first part of a file's name; None for any other text."""
    return reference if _FILE.fullmatch(reference) else None


def named(uses: Uses, values: Mapping[str, Any]) -> tuple[Named, ...]:
    """What `values` of the wire name, each once, in the order of `uses`."""
    found: dict[Named, None] = {}
    for attribute, use in uses.items():
        value = values.get(attribute) or ()
        for reference in (value,) if isinstance(value, str) else value:
            found[Named(use, reference)] = None
    return tuple(found)


def read(use: Use, material: Material) -> Reading:
    """The material, read for its use."""
    if use is Use.CERTIFICATE:
        return certificates.keyed_certificate(material)
    if use is Use.AUTHORITY:
        return certificates.authorities(material)
    return certificates.revocation_lists(material)


def pem(reading: KeyedCertificate | Authorities | RevocationLists) -> str:
    """What the data plane is given: of a certificate also the intermediates, in order, and then the open key."""
    if isinstance(reading, KeyedCertificate):
        return b"".join((reading.certificate, *reading.intermediates, reading.private_key)).decode()
    return b"".join(reading.certificates if isinstance(reading, Authorities) else reading.lists).decode()


def acceptable(uses: Uses, values: Mapping[str, Any], readings: Readings) -> Verdict:
    """Rows 21 to 24 of contract 20, section 7. `readings` has whatever `values` name."""
    found = {each: readings[each] for each in named(uses, values)}
    bad = [(each.reference, reading) for each, reading in found.items() if isinstance(reading, Unusable)]
    for fault in Fault:
        wrong = {reference: unusable for reference, unusable in bad if unusable.fault is fault}
        if wrong:
            return _refusal(fault, wrong)
    authority = next((each for each in found.values() if isinstance(each, Authorities)), None)
    revoked = next((each for each in found.values() if isinstance(each, RevocationLists)), None)
    if authority is not None and revoked is not None and not certificates.issued_by(revoked, authority):
        return invalid("The CRL specified is not valid for client certificate authority reference supplied.")
    return ACCEPT


def _refusal(fault: Fault, wrong: Mapping[str, Unusable]) -> Refuse:
    reasons = "; ".join(f"{reference} {unusable.why}" for reference, unusable in wrong.items())
    if fault is Fault.UNREADABLE:
        return Refuse(400, f"Could not retrieve certificate: {list(wrong)}: {reasons}.")
    if fault is Fault.PKCS12:
        return Refuse(400, f"The PKCS12 bundle is unreadable: {reasons}.")
    if fault is Fault.NAMELESS:
        return Refuse(400, f"No CN or DNSName(s) found: {reasons}.")
    if fault is Fault.AUTHORITY:
        return invalid(f"The client authentication CA certificate is invalid. In detail: {reasons}.")
    return invalid(f"The client authentication certificate revocation list is invalid: {reasons}.")
