"""What one client draws from: names, ports and objects of its own."""

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

from tests.crash.authorities import Authorities
from tests.crash.members import DEAD_PORT, PORTS
from tests.crash.model import Balancer, Thing

#: the addresses of this machine: one in the network of the load balancers, and one elsewhere
SOURCES = ("10.84.0.1", "198.51.100.7")
#: the same in the other network of theirs
OTHER_SOURCE = "fd84::1"
MEMBER_ADDRESS = SOURCES[0]
#: networks with the one, with the other, or with neither in them
_CIDRS = ("10.84.0.0/25", "10.84.0.1/32", "198.51.100.0/24", "198.51.100.7/32", "192.0.2.0/24", "10.84.0.2/31")
#: likewise for load balancers that have an address in the other network
_MORE_CIDRS = ("fd84::/64", "fd84:0:0:1::/64")
_TAGS = ("blue", "a tag", "\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}")
#: pools' protocols by listeners' (contract 20, section 6)
_SERVING = {
    "HTTP": ("HTTP", "PROXY", "PROXYV2"),
    "TERMINATED_HTTPS": ("HTTP", "PROXY", "PROXYV2"),
    "TCP": ("HTTP", "TCP", "PROXY", "PROXYV2"),
    "UDP": ("UDP",),
}
#: ports of listeners, for each client
PORTS_EACH = 4


class Choices:
    """Those of the client `owner`, whose `number` tells its names and ports from those of others. `references`: to the
    certificates that there are; `authorities`: whom listeners may trust."""

    def __init__(
        self, rng: random.Random, owner: str, number: int, references: Sequence[str], authorities: Authorities
    ) -> None:
        self.rng = rng
        self._references = references
        self._authorities = authorities
        self.ports = range(100 * number, 100 * number + PORTS_EACH)
        self._owner = owner
        self._number = number
        self._names = count(1)

    @property
    def distrusting(self) -> set[str]:
        """References to authorities that did not sign members' certificates; others come and go."""
        return self._authorities.distrusting

    def name(self, prefix: str) -> str:
        """One that nothing else has."""
        return f"{prefix}-{self._number}-{next(self._names)}"

    def labels(self, prefix: str) -> dict[str, Any]:
        """Such a name, and tags."""
        return {"name": self.name(prefix), "tags": self.tags()}

    def tags(self) -> list[str]:
        """Some, or none, as they are shown."""
        return sorted(self.rng.sample(_TAGS, self.rng.randint(0, len(_TAGS))))

    def own(self, balancer: Balancer, kind: str) -> list[Thing]:
        """This client's objects of a kind."""
        return balancer.of(kind, owner=self._owner)

    def one(self, balancer: Balancer, kind: str) -> Thing | None:
        """One of them, if there is any."""
        own = self.own(balancer, kind)
        return self.rng.choice(own) if own else None

    def pool_for(self, balancer: Balancer, protocol: str) -> str | None:
        """A pool's id that a listener of `protocol` may name, or none."""
        fitting = [pool.id for pool in self.own(balancer, "pool") if pool.values["protocol"] in _SERVING[protocol]]
        return self.rng.choice([*fitting, *fitting, None])

    def certificates(self) -> dict[str, Any]:
        """The certificates of a listener: one by default, and others for those who ask for their names."""
        default, *others = self.rng.sample(self._references, self.rng.randint(1, 3))
        return {"default_tls_container_ref": default, "sni_container_refs": sorted(others)}

    def cidrs(self, balancer: Balancer) -> list[str] | None:
        """Clients that a listener takes, or all."""
        networks = (*_CIDRS, *_MORE_CIDRS) if balancer.more else _CIDRS
        return sorted(self.rng.sample(networks, self.rng.randint(1, 3))) if self.rng.random() < 0.6 else None

    def termination(self) -> dict[str, Any]:
        """All that is of TLS in a listener; of what it need not have, often nothing."""
        more = (self.authentication, self.strictness, self.negotiation)
        values = self.certificates()
        for choose in more:
            values |= choose() if self.rng.random() < 0.5 else {}
        return values

    def encryption(self) -> dict[str, Any]:
        """Whether a pool's members are spoken to over TLS, whom it believes there, and what it shows them."""
        first, bundle = self._authorities.first, self._authorities.bundle
        authority = self.rng.choice((None, first, first, bundle))
        return {
            "tls_enabled": self.rng.random() < 0.7,
            "ca_tls_container_ref": authority,
            "crl_container_ref": self._authorities.revocations if authority == first else None,
            "tls_container_ref": self.rng.choice((None, *self._references)),
        }

    def authentication(self) -> dict[str, Any]:
        """Whether clients are asked for certificates, and of whom."""
        how = self.rng.choice(("NONE", "OPTIONAL", "MANDATORY"))
        authority = self.rng.choice((self._authorities.first, self._authorities.bundle, None))
        if authority is None:
            how = "NONE"
        lists = [self._authorities.revocations] if authority == self._authorities.first else []
        return {
            "client_authentication": how,
            "client_ca_tls_container_ref": authority,
            "client_crl_container_ref": self.rng.choice([*lists, None]),
        }

    def strictness(self) -> dict[str, Any]:
        """HTTP Strict Transport Security, or none."""
        age = self.rng.choice((None, 0, 3600, 31536000))
        flags = (self.rng.random() < 0.5, self.rng.random() < 0.5) if age is not None else (False, False)
        return {"hsts_max_age": age, "hsts_include_subdomains": flags[0], "hsts_preload": flags[1]}

    def negotiation(self) -> dict[str, Any]:
        """What TLS listeners and clients may agree to."""
        return self.rng.choice(
            [
                {"tls_versions": self.rng.choice((["TLSv1.2"], ["TLSv1.3"], ["TLSv1.2", "TLSv1.3"]))},
                {"alpn_protocols": self.rng.choice((["http/1.1"], ["http/1.0", "http/1.1"], ["h2", "http/1.1"]))},
            ]
        )

    def member(self, port: int) -> dict[str, Any]:
        """A member on a port."""
        return {
            "name": self.name("m"),
            "address": MEMBER_ADDRESS,
            "protocol_port": port,
            "weight": self.rng.choice((1, 1, 1, 2, 3, 0)),
            "backup": self.rng.random() < 0.15,
            "admin_state_up": self.rng.random() < 0.85,
            "monitor_port": self.rng.choice((*[None] * 5, PORTS[0], DEAD_PORT)),
        }

    def brief_member(self, port: int) -> dict[str, Any]:
        """A member on a port of which not all is said."""
        names = ("address", "protocol_port")
        return {name: value for name, value in self.member(port).items() if name in names or self.rng.random() < 0.8}
