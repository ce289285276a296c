"""The kinds of objects below a load balancer: which may be made and removed as things are, and with what values."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

from tests.crash.choices import Choices
from tests.crash.members import DEAD_PORT, PORTS
from tests.crash.model import HEADER, Balancer, Thing

Values: TypeAlias = dict[str, Any]
_PROTOCOLS = ("HTTP", "HTTP", "TCP", "UDP")


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
        protocol = self._rng.choice(_PROTOCOLS)
        free = [port for port in self._choices.ports if (protocol == "UDP", port) not in used]
        if not free:
            return None
        pool = self._choices.pool_for(balancer, protocol)
        name = self._choices.name("l")
        return {"name": name, "protocol": protocol, "protocol_port": free[0], "default_pool_id": pool}, None

    def other(self, balancer: Balancer, thing: Thing) -> Values:
        changes: list[Values] = [
            {"name": self._choices.name("l")},
            {"admin_state_up": self._rng.random() < 0.7},
            {"connection_limit": self._rng.randint(100, 2000)},
            {"timeout_client_data": self._rng.randint(20_000, 60_000)},
            {"default_pool_id": self._choices.pool_for(balancer, thing.values["protocol"])},
        ]
        return self._rng.choice(changes)


class Pools(Kind):
    """At most three of each client."""

    name = "pool"
    weights = (6, 4, 2)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        if len(self._choices.own(balancer, self.name)) >= 3:
            return None
        protocol = self._rng.choice(_PROTOCOLS)
        return {"name": self._choices.name("pool"), "protocol": protocol, "lb_algorithm": "ROUND_ROBIN"}, None

    def other(self, _balancer: Balancer, _thing: Thing) -> Values:
        algorithms = ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "ROUND_ROBIN")
        changes: list[Values] = [
            {"name": self._choices.name("pool")},
            {"lb_algorithm": self._rng.choice(algorithms)},
            {"admin_state_up": self._rng.random() < 0.7},
        ]
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
        drawn = self._choices.member(0)
        name = self._rng.choice(("name", "weight", "weight", "backup", "admin_state_up"))
        return {name: drawn[name]}


class Monitors(Kind):
    """That of a pool, which has one at most."""

    name = "healthmonitor"
    weights = (3, 2, 1)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        pool = self._choices.one(balancer, "pool")
        if pool is None or balancer.of(self.name, parent=pool.id):
            return None
        checked = {"HTTP": "HTTP", "TCP": "TCP", "UDP": "UDP-CONNECT"}[pool.values["protocol"]]
        values = {
            "name": self._choices.name("hm"),
            "type": checked,
            "delay": 3 if checked == "UDP-CONNECT" else 1,
            "timeout": 1,
            "max_retries": 1,
            "max_retries_down": 2,
        }
        return values, pool.id

    def other(self, _balancer: Balancer, _thing: Thing) -> Values:
        changes: list[Values] = [
            {"name": self._choices.name("hm")},
            {"max_retries": self._rng.randint(1, 3)},
            {"admin_state_up": self._rng.random() < 0.8},
        ]
        return self._rng.choice(changes)


class Policies(Kind):
    """At most two of an HTTP listener."""

    name = "l7policy"
    weights = (4, 2, 1)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        listener = self._choices.one(balancer, "listener")
        if listener is None or listener.values["protocol"] != "HTTP":
            return None
        if len(balancer.of(self.name, parent=listener.id)) >= 2:
            return None
        return {"name": self._choices.name("p"), **self._target(balancer)}, listener.id

    def _target(self, balancer: Balancer) -> Values:
        pool = self._choices.pool_for(balancer, "HTTP")
        url = f"http://www.example.net/{self._choices.name('url')}"
        targets: list[Values] = [{"action": "REJECT"}, {"action": "REDIRECT_TO_URL", "redirect_url": url}]
        if pool is not None:
            targets.append({"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool})
        return self._rng.choice(targets)

    def other(self, balancer: Balancer, _thing: Thing) -> Values:
        return self._rng.choice([self._target(balancer), {"admin_state_up": self._rng.random() < 0.7}])


class Rules(Kind):
    """One for the path of a policy, and one for a header then."""

    name = "rule"
    weights = (2, 2, 1)

    def new(self, balancer: Balancer) -> tuple[Values, str | None] | None:
        policy = self._choices.one(balancer, "l7policy")
        if policy is None:
            return None
        types = {rule.values["type"] for rule in balancer.of(self.name, parent=policy.id)}
        if "PATH" not in types:
            # Only one policy at a time can want a path: their order is no question.
            return {"type": "PATH", "compare_type": "STARTS_WITH", "value": f"/{policy.id}/"}, policy.id
        if "HEADER" not in types:
            return {"type": "HEADER", "compare_type": "EQUAL_TO", "key": HEADER, "value": "yes"}, policy.id
        return None

    def other(self, balancer: Balancer, thing: Thing) -> Values | None:
        changes: list[Values] = [{"admin_state_up": self._rng.random() < 0.7}]
        header = thing.values["type"] == "HEADER"
        if header and self._has_path(balancer, thing):
            changes.append({"invert": self._rng.random() < 0.5})
        values = self._rng.choice(changes)
        # A header's rule alone would take every request, also those of other policies.
        return values if header or values["admin_state_up"] else None

    def _has_path(self, balancer: Balancer, rule: Thing) -> bool:
        return any(each.values["type"] == "PATH" for each in balancer.of(self.name, parent=rule.parent))

    def may_go(self, thing: Thing) -> bool:
        return bool(thing.values["type"] == "HEADER")


ALL: tuple[type[Kind], ...] = (Listeners, Pools, Members, Monitors, Policies, Rules)
