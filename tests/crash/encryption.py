"""Whether TLS listeners show what they should, speak what they should, and admit whom they should."""

import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.crash.asking import Way, ask, greet
from tests.crash.authorities import CLIENTS, Authorities
from tests.crash.certificates import NAMES, Certificates
from tests.crash.model import Thing
from tests.crash.prediction import Request

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
#: what a client can speak, and what it likes best; with the first of a listener's own the listener decides
PROTOCOLS = ("http/1.0", "http/1.1", "h2")


class Encryption:
    """Clients of one machine that look at handshakes."""

    def __init__(self, certificates: Certificates, authorities: Authorities, compared: Counter[str]) -> None:
        self._certificates = certificates
        self._authorities = authorities
        self._compared = compared

    def problems(self, way: Way, listener: Thing) -> Iterator[str]:
        """Whatever is otherwise than a listener's values say."""
        admitted = self._authorities.admitted(listener.values)
        yield from self._refused(way, listener, admitted)
        yield from self._names(way, listener.values, admitted[-1])
        yield from self._spoken(way, listener.values, admitted[-1])

    def _refused(self, way: Way, listener: Thing, admitted: tuple[str | None, ...]) -> Iterator[str]:
        if listener.values.get("client_authentication", "NONE") == "NONE":
            return
        for client in {None, *CLIENTS}.difference(admitted):
            self._compared["refused clients"] += 1
            answer = ask(way, listener, Request(), self._authorities.context(client))
            if (answer.who, answer.status) != (None, 0):
                yield f"who shows the certificate of {client} is answered {answer}, admitted are {admitted}"

    def _names(self, way: Way, values: dict[str, Any], client: str | None) -> Iterator[str]:
        """Whether each name gets its certificate, and any other name the default one."""
        references = [*values["sni_container_refs"], values["default_tls_container_ref"]]
        there = [self._certificates.names[each] for each in references if each is not None]
        default = values["default_tls_container_ref"]
        others = {self._certificates.names[default]} if default is not None else set(there)
        for name in (None, "unknown.tls.example", *NAMES):
            self._compared["certificates"] += 1
            wanted = {name} if name in there else others
            met = greet(way, name, self._authorities.context(client))
            whose = None if met is None or met.certificate is None else self._certificates.whose(met.certificate)
            if whose not in wanted:
                yield f"who asks for {name} is shown the certificate of {whose}, wanted {wanted} of {there}"

    def _spoken(self, way: Way, values: dict[str, Any], client: str | None) -> Iterator[str]:
        """Whether only versions and application protocols are agreed to that are the listener's."""
        protocols = values.get("alpn_protocols", PROTOCOLS)
        for version, number in VERSIONS.items():
            for offered in PROTOCOLS:
                self._compared["handshakes"] += 1
                context = self._authorities.fresh_context(client)
                context.minimum_version = context.maximum_version = number
                context.set_alpn_protocols([offered])
                met = greet(way, None, context)
                found = None if met is None else (met.version, met.protocol)
                agreed = (version, offered if offered in protocols else None)
                wanted = agreed if version in values.get("tls_versions", VERSIONS) else None
                if found != wanted:
                    yield f"who speaks {version} and {offered} agreed to {found}, wanted {wanted}"
