"""TLS of listeners and towards members, as HAProxy is told (manual, sections 5.1 and 5.2), and its files.

HAProxy knows key material by the file it was read from. Names are those of a place, not of a content: a renewal
replaces what HAProxy has under the name. Only the certificates beyond a listener's first are named by their content,
for they come and go one by one.
"""

from collections.abc import Sequence

from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import is_http
from livia.core.model.listener import ClientAuthentication
from livia.core.model.pool import PoolProtocol
from livia.core.rules.tls import split_ciphers
from livia.core.spec import HstsSpec, ListenerSpec, MemberTlsSpec, PoolSpec, Spec, TerminationSpec

#: the directory of all files, in HAProxy's working directory
DIRECTORY = "tls"
#: our names to HAProxy's, oldest first. OpenSSL 3 is built without SSLv3.
VERSIONS = {"TLSv1": "TLSv1.0", "TLSv1.1": "TLSv1.1", "TLSv1.2": "TLSv1.2", "TLSv1.3": "TLSv1.3"}
#: signatures of these are of SHA-1, which OpenSSL 3 takes at security level 0 only
_WEAK = frozenset({"TLSv1", "TLSv1.1"})
_VERIFY = {ClientAuthentication.OPTIONAL: "optional", ClientAuthentication.MANDATORY: "required"}
#: of a certificate's content in the name of its file
_SHORT = 16


class Slots:
    """Names of one object's files, relative to `DIRECTORY`."""

    def __init__(self, stem: str) -> None:
        self.certificate = f"{stem}.pem"
        self.list = f"{stem}.list"
        self.ca = f"{stem}.ca"
        self.crl = f"{stem}.crl"
        self._stem = stem

    def further(self, material: str) -> str:
        """The file of a certificate beyond the first."""
        return f"{self._stem}.{material[:_SHORT]}.pem"


def of_listener(listener: ListenerSpec) -> Slots:
    """A listener's files."""
    return Slots(listener.id)


def of_pool(pool: PoolSpec) -> Slots:
    """The files of a pool: an id has no full stop, so they are no listener's."""
    return Slots(f"{pool.id}.member")


def path(slot: str) -> str:
    """The file as HAProxy is told it."""
    return f"{DIRECTORY}/{slot}"


def certificate_slots(listener: ListenerSpec, tls: TerminationSpec) -> dict[str, str]:
    """Slot to material of a listener's certificates, the default one first."""
    slots = of_listener(listener)
    first, *others = tls.certificates
    return {slots.certificate: first} | {slots.further(each): each for each in others if each != first}


def material_slots(spec: Spec) -> dict[str, str]:
    """Slot to the name of the key material in it, of everything in the spec."""
    found: dict[str, str] = {}
    for listener in spec.listeners:
        if listener.tls is not None:
            found |= certificate_slots(listener, listener.tls)
            _add(found, of_listener(listener).ca, listener.tls.client_ca)
            _add(found, of_listener(listener).crl, listener.tls.client_crl)
    for pool in spec.pools:
        if pool.tls is not None:
            _add(found, of_pool(pool).certificate, pool.tls.certificate)
            _add(found, of_pool(pool).ca, pool.tls.ca)
            _add(found, of_pool(pool).crl, pool.tls.crl)
    return found


def lists(spec: Spec) -> dict[str, str]:
    """Slot to text of each listener's list of certificates (manual, section 5.1, crt-list)."""
    return {
        of_listener(listener).list: "".join(f"{path(slot)}\n" for slot in certificate_slots(listener, listener.tls))
        for listener in spec.listeners
        if listener.tls is not None
    }


def bind_words(listener: ListenerSpec) -> list[str]:
    """What a `bind` line says of TLS; nothing for a listener without."""
    tls = listener.tls
    if tls is None:
        return []
    slots = of_listener(listener)
    words = ["ssl", "crt-list", path(slots.list)]
    verify = _VERIFY.get(tls.client_authentication)
    if verify is not None:
        words += ["verify", verify, "ca-file", path(slots.ca)]
        if tls.client_crl is not None:
            words += ["crl-file", path(slots.crl)]
    return [*words, *_negotiation(tls.versions, tls.ciphers), *_alpn("alpn", tls.alpn)]


def server_words(listener: ListenerSpec, pool: PoolSpec) -> list[str]:
    """What members' lines say of TLS, theirs and the clients'; nothing for plain ones behind a plain listener."""
    words: list[str] = []
    if pool.protocol is PoolProtocol.PROXYV2 and listener.tls is not None:
        words.append("send-proxy-v2-ssl-cn")
    if pool.tls is not None:
        words += _member_words(listener, pool, pool.tls)
    return words


def _member_words(listener: ListenerSpec, pool: PoolSpec, tls: MemberTlsSpec) -> list[str]:
    slots = of_pool(pool)
    words = ["ssl"]
    words += ["verify", "required", "ca-file", path(slots.ca)] if tls.ca is not None else ["verify", "none"]
    if tls.certificate is not None:
        words += ["crt", path(slots.certificate)]
    if tls.crl is not None:
        words += ["crl-file", path(slots.crl)]
    if listener.tls is not None:
        # The name that the client asked for; with a CA the member's certificate must be for it.
        words += ["sni", "ssl_fc_sni"]
    words += _negotiation(tls.versions, tls.ciphers)
    if is_http(listener):
        # Where bytes are passed on as they are, only the client knows which protocol they are of.
        words += [*_alpn("alpn", tls.alpn), *_alpn("check-alpn", tls.alpn)]
    if checked(pool):
        words.append("check-ssl")
    return words


def strict_transport_security(hsts: HstsSpec) -> str:
    """The header's value (RFC 6797, section 6.1)."""
    parts = [f"max-age={hsts.max_age}"]
    if hsts.include_subdomains:
        parts.append("includeSubDomains")
    if hsts.preload:
        parts.append("preload")
    return "".join(f"{part}; " for part in parts).strip()


def spoken(versions: Sequence[str], ciphers: str) -> tuple[str, ...]:
    """The versions among `versions` that can be spoken with `ciphers`, oldest first. A list that names suites of
    TLS 1.3 only leaves nothing to earlier ones; one that names none has OpenSSL's for TLS 1.3, as elsewhere."""
    classic, modern = split_ciphers(ciphers)
    able = [version for version in VERSIONS if version in versions]
    return tuple(version for version in able if version == "TLSv1.3" or classic or not modern)


def _negotiation(versions: Sequence[str], ciphers: str) -> list[str]:
    able = spoken(versions, ciphers)
    words = ["ssl-min-ver", VERSIONS[able[0]], "ssl-max-ver", VERSIONS[able[-1]]]
    classic, modern = split_ciphers(ciphers)
    if classic:
        weak = _WEAK.intersection(able) and not any(name.startswith("@SECLEVEL") for name in classic)
        words += ["ciphers", ":".join((*classic, "@SECLEVEL=0") if weak else classic)]
    if modern:
        words += ["ciphersuites", ":".join(modern)]
    return words


def _alpn(keyword: str, protocols: Sequence[str]) -> list[str]:
    return [keyword, ",".join(protocols)] if protocols else []


def _add(found: dict[str, str], slot: str, material: str | None) -> None:
    if material is not None:
        found[slot] = material
