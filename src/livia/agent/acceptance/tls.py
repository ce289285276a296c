"""What TLS and its key material must be like. Whether a PEM text is a certificate is HAProxy's to say."""

import re
from collections.abc import Mapping, Sequence

from livia.agent.errors import InvalidSpecError
from livia.agent.haproxy.tls import VERSIONS, material_slots, spoken
from livia.core.model.listener import ClientAuthentication, ListenerProtocol
from livia.core.spec import ListenerSpec, PoolSpec, Spec, TerminationSpec, name_of

_NAME = re.compile(r"[0-9a-f]{64}")
_CIPHERS = re.compile(r"[A-Za-z0-9+!:@=_.-]*")
_PROTOCOLS = frozenset({"h2", "http/1.1", "http/1.0"})
#: contract 20, section 2: hsts_max_age is a number of seconds, kept in 63 bits; HAProxy only passes it on
_LONGEST_HSTS = 2**63 - 1
#: protocols that end their clients' TLS, and whether they must
_TERMINATING = {ListenerProtocol.TERMINATED_HTTPS: True, ListenerProtocol.PROMETHEUS: False}


def check_material(spec: Spec, material: Mapping[str, str]) -> None:
    """Each text is what its name says, and none that the spec names is missing. Raises InvalidSpecError, in which
    nothing of a text is quoted."""
    for name, pem in material.items():
        if name_of(pem) != name:
            raise InvalidSpecError(f"Key material {name[:80]!r} is not the SHA-256 of what comes under that name.")
        if not pem.isascii() or "\x00" in pem:
            raise InvalidSpecError(f"Key material {name} is not PEM.")
    for slot, name in material_slots(spec).items():
        if name not in material:
            raise InvalidSpecError(f"Key material {name}, for {slot}, did not come with the spec.")


def check_listener_tls(listener: ListenerSpec) -> None:
    what = f"listener {listener.id}"
    tls = listener.tls
    if tls is None:
        if _TERMINATING.get(listener.protocol):
            raise InvalidSpecError(f"{listener.protocol} needs a certificate ({what}).")
        return
    if listener.protocol not in _TERMINATING:
        raise InvalidSpecError(f"{listener.protocol} has no certificates ({what}).")
    if not tls.certificates:
        raise InvalidSpecError(f"There is no certificate ({what}).")
    _names((*tls.certificates, tls.client_ca, tls.client_crl), what)
    _authentication(tls, what)
    _negotiation(tls.versions, tls.ciphers, tls.alpn, what)
    if tls.hsts is not None and not 0 <= tls.hsts.max_age <= _LONGEST_HSTS:
        raise InvalidSpecError(f"The max-age of HSTS is 0 to {_LONGEST_HSTS} seconds ({what}).")


def check_pool_tls(pool: PoolSpec) -> None:
    tls = pool.tls
    if tls is None:
        return
    what = f"pool {pool.id}"
    _names((tls.certificate, tls.ca, tls.crl), what)
    if tls.crl is not None and tls.ca is None:
        raise InvalidSpecError(f"A revocation list says nothing without its authority ({what}).")
    _negotiation(tls.versions, tls.ciphers, tls.alpn, what)


def _authentication(tls: TerminationSpec, what: str) -> None:
    if tls.client_authentication is not ClientAuthentication.NONE and tls.client_ca is None:
        raise InvalidSpecError(f"Client authentication needs the clients' authority ({what}).")
    if tls.client_crl is not None and tls.client_ca is None:
        raise InvalidSpecError(f"A revocation list says nothing without its authority ({what}).")


def _names(names: Sequence[str | None], what: str) -> None:
    for name in names:
        if name is not None and not _NAME.fullmatch(name):
            raise InvalidSpecError(f"{name[:80]!r} is no name of key material ({what}).")


def _negotiation(versions: Sequence[str], ciphers: str, alpn: Sequence[str], what: str) -> None:
    for version in versions:
        if version not in VERSIONS:
            raise InvalidSpecError(f"{version[:80]!r} cannot be spoken here: {', '.join(VERSIONS)} can ({what}).")
    if not _CIPHERS.fullmatch(ciphers):
        raise InvalidSpecError(f"{ciphers[:80]!r} is no list of ciphers ({what}).")
    able = spoken(versions, ciphers)
    if not able:
        raise InvalidSpecError(
            f"No cipher of the list can be used with {', '.join(versions) or 'no version'} ({what})."
        )
    every = list(VERSIONS)
    between = every[every.index(able[0]) : every.index(able[-1]) + 1]
    missing = [version for version in between if version not in able]
    if missing:
        # It ignores no-tlsv1x when they leave a gap (a warning of its own), so the version would be spoken.
        raise InvalidSpecError(
            f"HAProxy cannot leave out {', '.join(missing)} between {able[0]} and {able[-1]} ({what})."
        )
    for protocol in alpn:
        if protocol not in _PROTOCOLS:
            raise InvalidSpecError(f"{protocol[:80]!r} is no protocol to negotiate ({what}).")
