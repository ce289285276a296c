"""TLS in a spec: which key material it needs, and how names of material take the place of references.

`build` makes the rest. In between the worker fetches what is `wanted`, for which neither has to wait.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from livia.core.model.listener import Listener, ListenerProtocol
from livia.core.model.pool import Pool
from livia.core.model.secret import Named, Use
from livia.core.model.tree import LoadBalancerTree
from livia.core.rules.tls import DEFAULT_ALPN, DEFAULT_CIPHERS, DEFAULT_VERSIONS
from livia.core.spec.assignment import Spec
from livia.core.spec.tls import HstsSpec, MemberTlsSpec, TerminationSpec, name_of

_TERMINATING = frozenset({ListenerProtocol.TERMINATED_HTTPS, ListenerProtocol.PROMETHEUS})


class Offer(Struct, frozen=True, kw_only=True):
    """What TLS is offered where an object says nothing: the operator's, or else that of contract 20, section 4.3."""

    ciphers: str = DEFAULT_CIPHERS
    versions: tuple[str, ...] = DEFAULT_VERSIONS
    alpn: tuple[str, ...] = DEFAULT_ALPN


class TlsDefaults(Struct, frozen=True, kw_only=True):
    """Of listeners, and of pools towards their members."""

    listener: Offer = Offer()
    pool: Offer = Offer()


#: what is offered where nobody has said anything
CONTRACT_TLS = TlsDefaults()


class Wanted(Struct, frozen=True):
    """Material that a spec needs. `owner` is the object that names it, for people."""

    named: Named
    owner: str


def wanted(spec: Spec, tree: LoadBalancerTree) -> tuple[Wanted, ...]:
    """What the spec needs, as often as it is named. `tree`: what it was built from."""
    listeners, pools = _of_spec(spec, tree)
    return (
        *(Wanted(each, _title("Listener", listener)) for listener in listeners for each in _of_listener(listener)),
        *(Wanted(each, _title("Pool", pool)) for pool in pools for each in _of_pool(pool)),
    )


def with_tls(spec: Spec, tree: LoadBalancerTree, pems: Mapping[Named, str], defaults: TlsDefaults) -> Spec:
    """The spec with TLS where the tree has it. `pems`: the text of whatever is `wanted`."""
    names = {named: name_of(pem) for named, pem in pems.items()}
    listeners, pools = _of_spec(spec, tree)
    ends = {each.id: _termination(each, names, defaults.listener) for each in listeners if _of_listener(each)}
    towards = {each.id: _towards_members(each, names, defaults.pool) for each in pools if each.tls_enabled}
    if not ends and not towards:
        return spec
    return replace(
        spec,
        listeners=tuple(replace(each, tls=ends.get(each.id)) for each in spec.listeners),
        pools=tuple(replace(each, tls=towards.get(each.id)) for each in spec.pools),
    )


def named_in(spec: Spec, pems: Mapping[Named, str]) -> dict[str, str]:
    """What travels beside the spec: each text that it names, by the name it has there."""
    names = {each for listener in spec.listeners if listener.tls for each in listener.tls.material()}
    names |= {each for pool in spec.pools if pool.tls for each in pool.tls.material()}
    return {name: pem for pem in pems.values() if (name := name_of(pem)) in names}


def _of_spec(spec: Spec, tree: LoadBalancerTree) -> tuple[list[Listener], list[Pool]]:
    """The objects that the spec has."""
    ids = {each.id for each in spec.listeners} | {each.id for each in spec.pools}
    return [each for each in tree.listeners if each.id in ids], [each for each in tree.pools if each.id in ids]


def _title(kind: str, each: Listener | Pool) -> str:
    return f"{kind} {each.name} ({each.id})" if each.name else f"{kind} {each.id}"


def _of_listener(listener: Listener) -> tuple[Named, ...]:
    """Empty for a listener that ends no TLS."""
    certificates = _certificates(listener)
    if listener.protocol not in _TERMINATING or not certificates:
        return ()
    return (
        *certificates,
        *_named(Use.AUTHORITY, listener.client_ca_tls_container_ref),
        *_named(Use.REVOCATION_LIST, listener.client_crl_container_ref),
    )


def _of_pool(pool: Pool) -> tuple[Named, ...]:
    if not pool.tls_enabled:
        return ()
    return (
        *_named(Use.CERTIFICATE, pool.tls_container_ref),
        *_named(Use.AUTHORITY, pool.ca_tls_container_ref),
        *_named(Use.REVOCATION_LIST, pool.crl_container_ref),
    )


def _certificates(listener: Listener) -> tuple[Named, ...]:
    """The default one first."""
    return (
        *_named(Use.CERTIFICATE, listener.default_tls_container_ref),
        *(Named(Use.CERTIFICATE, each) for each in listener.sni_container_refs),
    )


def _named(use: Use, reference: str | None) -> tuple[Named, ...]:
    return (Named(use, reference),) if reference else ()


def _name(names: Mapping[Named, str], use: Use, reference: str | None) -> str | None:
    return names[Named(use, reference)] if reference else None


def _termination(listener: Listener, names: Mapping[Named, str], offer: Offer) -> TerminationSpec:
    return TerminationSpec(
        # The same text under two references is one certificate.
        certificates=tuple(dict.fromkeys(names[each] for each in _certificates(listener))),
        client_authentication=listener.client_authentication,
        client_ca=_name(names, Use.AUTHORITY, listener.client_ca_tls_container_ref),
        client_crl=_name(names, Use.REVOCATION_LIST, listener.client_crl_container_ref),
        ciphers=listener.tls_ciphers or offer.ciphers,
        versions=listener.tls_versions or offer.versions,
        alpn=listener.alpn_protocols or offer.alpn,
        hsts=_hsts(listener),
    )


def _hsts(listener: Listener) -> HstsSpec | None:
    """An age of zero is said too: it makes clients forget (RFC 6797, section 6.1.1)."""
    if listener.hsts_max_age is None or listener.protocol is not ListenerProtocol.TERMINATED_HTTPS:
        return None
    return HstsSpec(
        max_age=listener.hsts_max_age,
        include_subdomains=listener.hsts_include_subdomains,
        preload=listener.hsts_preload,
    )


def _towards_members(pool: Pool, names: Mapping[Named, str], offer: Offer) -> MemberTlsSpec:
    return MemberTlsSpec(
        certificate=_name(names, Use.CERTIFICATE, pool.tls_container_ref),
        ca=_name(names, Use.AUTHORITY, pool.ca_tls_container_ref),
        crl=_name(names, Use.REVOCATION_LIST, pool.crl_container_ref),
        ciphers=pool.tls_ciphers or offer.ciphers,
        versions=pool.tls_versions or offer.versions,
        alpn=pool.alpn_protocols or offer.alpn,
    )
