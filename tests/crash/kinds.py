"""Kinds of objects below a load balancer: which may be made and removed as things are, and with what values."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

from tests.crash.authorities import TLS_HEADERS
from tests.crash.choices import Choices
from tests.crash.members import APPLICATION_COOKIES, DEAD_PORT, ILL, PORTS
from tests.crash.model import Balancer, Thing
from tests.crash.prediction import ASKING

Values: TypeAlias = dict[str, Any]
_LISTENERS = ("HTTP", "HTTP", "HTTP", "TERMINATED_HTTPS", "TERMINATED_HTTPS", "TCP", "UDP", "PROMETHEUS")
_POOLS = ("HTTP", "HTTP", "HTTP", "HTTP", "TCP", "UDP", "PROXY", "PROXYV2")
#: what a member may be told about the client (contract 20, section 4.1)
INSERTED = (
    *("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"),
    *("X-Forwarded-IP", "X-Client-IP", "X-Real-IP"),
)
#: protocols of pools whose members can tell TLS from what else comes
_ENCRYPTED = ("HTTP", "TCP")
#: session persistence by the protocol of pools
_PERSISTENCE = {
    "HTTP": ("HTTP_COOKIE", "HTTP_COOKIE", "APP_COOKIE", "SOURCE_IP"),
    "PROXY": ("HTTP_COOKIE", "SOURCE_IP"),
    "PROXYV2": ("APP_COOKIE", "SOURCE_IP"),
    "TCP": ("SOURCE_IP",),
    "UDP": ("SOURCE_IP",),
}
_ANY_CHECK = ("HTTP", "HTTP", "TCP", "HTTPS", "TLS-HELLO", "PING")
#: types of monitors by the protocol of pools; what begins with a PROXY protocol header is not TLS to members
_CHECKS = {
    **dict.fromkeys(("HTTP", "TCP"), _ANY_CHECK),
    **dict.fromkeys(("PROXY", "PROXYV2"), ("HTTP", "TCP", "PING")),
    "UDP": ("UDP-CONNECT", "UDP-CONNECT", "HTTP", "TCP"),
}
#: what members are asked for by monitors, and what they are to answer; with the second all that are well are not
_PATHS = ("/", "/", f"{ILL}/8001-8004", f"{ILL}/8002-8003-8006")
_CODES = ("200", "200,204", "503", "200,503")


class Kind(ABC):
    """One kind. `weights`: how often one is made, changed and removed, against other kinds."""

    name: ClassVar[str]
    weights: ClassVar[tuple[int, int, int]]

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._rng = choices.rng

    @abstractmethod
    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        """One that may be made now, and what it belongs to, if that is not the load balancer itself."""

    @abstractmethod
    def other(self, balancer: Balancer, thing: Thing) -> Values | None:
        """What may be changed of one now."""

    def may_go(self, _thing: Thing) -> bool:
        """Whether one may be removed."""
        return True


class Listeners(Kind):
    """Of each client on ports of its own."""

    name = "listener"
    weights = (6, 5, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        used = {(thing.values["protocol"] == "UDP", thing.values["protocol_port"]) for thing in balancer.of(self.name)}
        protocol = self._rng.choice(_LISTENERS)
        free = [port for port in self._choices.ports if (protocol == "UDP", port) not in used]
        if not free:
            return None
        values = {"name": self._choices.name("l"), "protocol": protocol, "protocol_port": free[0]}
        if protocol != "PROMETHEUS":
            values["default_pool_id"] = self._choices.pool_for(balancer, protocol)
        if protocol == "TERMINATED_HTTPS":
            values |= self._choices.termination()
        if self._rng.random() < 0.3:
            values["allowed_cidrs"] = self._choices.cidrs(balancer)
        return values, None

    def other(self, balancer: Balancer, thing: Thing) -> Values:
        protocol = thing.values["protocol"]
        changes: list[Values] = [
            self._choices.labels("l"),
            {"admin_state_up": self._rng.random() < 0.7},
            {"connection_limit": self._rng.randint(100, 2000)},
            {"timeout_client_data": self._rng.randint(20_000, 60_000)},
            {"allowed_cidrs": self._choices.cidrs(balancer)},
        ]
        if protocol != "PROMETHEUS":
            changes.append({"default_pool_id": self._choices.pool_for(balancer, protocol)})
        if protocol in ("HTTP", "TERMINATED_HTTPS"):
            changes.append({"insert_headers": self._headers(protocol)})
        if protocol == "TERMINATED_HTTPS":
            changes += self._of_tls(thing)
        return self._rng.choice(changes)

    def _of_tls(self, thing: Thing) -> Iterator[Values]:
        choices = self._choices
        both = choices.certificates()
        yield from (both, {"sni_container_refs": both["sni_container_refs"]})
        if thing.values["sni_container_refs"]:
            yield {"default_tls_container_ref": None}
        yield from (choices.strictness(), choices.authentication(), choices.authentication(), choices.negotiation())
        if thing.values.get("client_ca_tls_container_ref") is not None:
            yield {"client_authentication": self._rng.choice(("NONE", "OPTIONAL", "MANDATORY"))}
        if thing.values.get("hsts_max_age") is not None:
            # What else was set stays, and is of no effect.
            yield {"hsts_max_age": None}

    def _headers(self, protocol: str) -> dict[str, str]:
        names = (*INSERTED, *TLS_HEADERS) if protocol == "TERMINATED_HTTPS" else INSERTED
        chosen = self._rng.sample(names, self._rng.randint(0, len(names)))
        return {name: self._rng.choice(("true", "True", "false")) for name in chosen}


def persistence(choices: Choices, protocol: str) -> Values | None:
    """Session persistence of a pool of `protocol`, or none."""
    if choices.rng.random() < 0.4:
        return None
    values = {"type": choices.rng.choice(_PERSISTENCE[protocol])}
    cookie = choices.rng.choice(APPLICATION_COOKIES) if values["type"] == "APP_COOKIE" else None
    return {**values, "cookie_name": cookie, **dict.fromkeys(("persistence_timeout", "persistence_granularity"))}


class Pools(Kind):
    """At most three of each client."""

    name = "pool"
    weights = (6, 4, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        if len(self._choices.own(balancer, self.name)) >= 3:
            return None
        protocol = self._rng.choice(_POOLS)
        values: Values = {"name": self._choices.name("pool"), "protocol": protocol, "lb_algorithm": "ROUND_ROBIN"}
        values["session_persistence"] = persistence(self._choices, protocol)
        return values | (
            self._choices.encryption() if protocol in _ENCRYPTED and self._rng.random() < 0.3 else {}
        ), None

    def other(self, _balancer: Balancer, thing: Thing) -> Values:
        algorithms = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT", "ROUND_ROBIN")
        changes: list[Values] = [
            self._choices.labels("pool"),
            {"lb_algorithm": self._rng.choice(algorithms)},
            {"session_persistence": persistence(self._choices, thing.values["protocol"])},
            {"admin_state_up": self._rng.random() < 0.7},
        ]
        if thing.values["protocol"] in _ENCRYPTED:
            changes.append(self._choices.encryption())
        return self._rng.choice(changes)


class Members(Kind):
    """At most four of a pool that are made one by one, each on another port; on one nobody listens."""

    name = "member"
    weights = (9, 8, 3)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        pool = self._choices.one(balancer, "pool")
        if pool is None:
            return None
        there = balancer.of(self.name, parent=pool.id)
        if len(there) >= 4:
            return None
        values = self._choices.member(self._port(pool))
        used = {member.values["protocol_port"] for member in there}
        return None if values["protocol_port"] in used else (values, pool.id)

    def _port(self, pool: Thing) -> int:
        dead = pool.values["protocol"] != "UDP" and self._rng.random() < 0.1
        return DEAD_PORT if dead else self._rng.choice(PORTS)

    def other(self, _balancer: Balancer, _thing: Thing) -> Values:
        drawn = {**self._choices.member(0), "tags": self._choices.tags()}
        name = self._rng.choice(("name", "weight", "weight", "backup", "admin_state_up", "monitor_port", "tags"))
        return {name: drawn[name]}


def monitor(choices: Choices, protocol: str) -> Values:
    """A monitor for a pool of `protocol`."""
    checked = choices.rng.choice(_CHECKS[protocol])
    return {
        **(_asked(choices) if checked in ASKING else {}),
        "name": choices.name("hm"),
        "type": checked,
        "delay": 3 if checked == "UDP-CONNECT" else 1,
        "timeout": 1,
        "max_retries": 1,
        "max_retries_down": 2,
    }


def _asked(choices: Choices) -> Values:
    return {"url_path": choices.rng.choice(_PATHS), "expected_codes": choices.rng.choice(_CODES)}


class Monitors(Kind):
    """That of a pool, which has one at most."""

    name = "healthmonitor"
    weights = (3, 2, 1)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        pool = self._choices.one(balancer, "pool")
        if pool is None or balancer.of(self.name, parent=pool.id):
            return None
        return monitor(self._choices, pool.values["protocol"]), pool.id

    def other(self, _balancer: Balancer, thing: Thing) -> Values:
        changes: list[Values] = [
            self._choices.labels("hm"),
            {"max_retries": self._rng.randint(1, 3)},
            {"admin_state_up": self._rng.random() < 0.8},
        ]
        if thing.values["type"] in ASKING:
            changes += [_asked(self._choices), _asked(self._choices)]
        return self._rng.choice(changes)


ALL: tuple[type[Kind], ...] = (Listeners, Pools, Members, Monitors)
