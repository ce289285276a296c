"""What tenants were promised: the load balancers as the answers of the API say they must be."""

from collections.abc import Iterator
from threading import RLock
from typing import Any

from msgspec import Struct, field

from tests.crash.members import DEAD_PORT

HEADER = "X-Crash"


class Thing(Struct, kw_only=True):
    """One object below a load balancer. `values`: what it was last given. `owner`: the client whose it is."""

    kind: str
    id: str
    owner: str
    values: dict[str, Any]
    parent: str | None = None


class Balancer(Struct, kw_only=True):
    """One load balancer. `leaving`: its deletion was asked for, or will be in a moment."""

    id: str
    vip: str
    project: str
    owner: str
    values: dict[str, Any]
    things: dict[str, Thing] = field(default_factory=dict)
    leaving: bool = False

    def of(self, kind: str, *, parent: str | None = None, owner: str | None = None) -> list[Thing]:
        """Its objects of a kind."""
        return [
            thing
            for thing in list(self.things.values())
            if thing.kind == kind and parent in (None, thing.parent) and owner in (None, thing.owner)
        ]

    def remove(self, key: str) -> None:
        """An object is gone, and what belongs to it with it (contract 20, 30, 40, 50)."""
        gone = self.things.pop(key, None)
        if gone is None:
            return
        for child in [each for each in self.things.values() if each.parent == key]:
            self.remove(child.id)
        if gone.kind == "pool":
            for listener in self.of("listener"):
                if listener.values.get("default_pool_id") == key:
                    listener.values["default_pool_id"] = None


class World:
    """All load balancers, by id."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.balancers: dict[str, Balancer] = {}

    def of(self, project: str) -> list[Balancer]:
        """Those of a tenant that stay."""
        with self.lock:
            return [each for each in self.balancers.values() if each.project == project and not each.leaving]


class Expected(Struct, frozen=True, kw_only=True):
    """What a client may see: these members (each of them, if `all_of`), or these statuses."""

    members: frozenset[str] = frozenset()
    all_of: bool = True
    statuses: frozenset[int] = frozenset()
    location: str | None = None


def listening(balancer: Balancer, listener: Thing) -> bool:
    """Whether connections to it are taken."""
    return bool(balancer.values.get("admin_state_up", True) and listener.values.get("admin_state_up", True))


def expected(balancer: Balancer, listener: Thing, path: str, *, header: bool) -> Expected:
    """What is answered to a request for a path, with or without our header."""
    if listener.values["protocol"] == "HTTP":
        for policy in balancer.of("l7policy", parent=listener.id):
            if _applies(balancer, policy, path, header=header):
                return _switched(balancer, policy)
    return _from_pool(balancer, listener.values.get("default_pool_id"))


def _applies(balancer: Balancer, policy: Thing, path: str, *, header: bool) -> bool:
    if not policy.values.get("admin_state_up", True):
        return False
    if policy.values["action"] == "REDIRECT_TO_POOL" and not _enabled(balancer, policy.values["redirect_pool_id"]):
        return False
    rules = [rule.values for rule in balancer.of("rule", parent=policy.id) if rule.values.get("admin_state_up", True)]
    return bool(rules) and all(
        (path.startswith(rule["value"]) if rule["type"] == "PATH" else header) != rule.get("invert", False)
        for rule in rules
    )


def _switched(balancer: Balancer, policy: Thing) -> Expected:
    match policy.values["action"]:
        case "REJECT":
            return Expected(statuses=frozenset({403}))
        case "REDIRECT_TO_URL":
            return Expected(statuses=frozenset({302}), location=policy.values["redirect_url"])
        case _:
            return _from_pool(balancer, policy.values["redirect_pool_id"])


def _enabled(balancer: Balancer, pool_id: str | None) -> bool:
    pool = balancer.things.get(pool_id or "")
    return pool is not None and bool(pool.values.get("admin_state_up", True))


def _from_pool(balancer: Balancer, pool_id: str | None) -> Expected:
    nobody = Expected(statuses=frozenset({503}))
    if not _enabled(balancer, pool_id):
        return nobody
    assert pool_id is not None
    pool = balancer.things[pool_id]
    checked = any(
        monitor.values.get("admin_state_up", True) for monitor in balancer.of("healthmonitor", parent=pool_id)
    )
    usable = [
        member.values
        for member in balancer.of("member", parent=pool_id)
        if member.values.get("admin_state_up", True) and not (checked and _dead(member.values))
    ]
    taking = [values for values in usable if values.get("weight", 1) > 0]
    # Backups stand in when no other is up; one of weight 0 takes nobody, and counts as not there.
    serving = [values for values in taking if not values.get("backup")] or taking
    alive = frozenset(str(values["protocol_port"]) for values in serving if not _dead(values))
    if not alive:
        return nobody
    dead = any(_dead(values) for values in serving)
    sticky = pool.values.get("session_persistence") is not None or "SOURCE" in pool.values["lb_algorithm"]
    return Expected(members=alive, all_of=not sticky, statuses=frozenset({503}) if dead else frozenset())


def _dead(values: dict[str, Any]) -> bool:
    return bool(values["protocol_port"] == DEAD_PORT)


def paths(balancer: Balancer, listener: Thing) -> Iterator[tuple[str, bool]]:
    """Requests that tell the states of a listener apart: (path, with our header)."""
    yield "/", False
    if listener.values["protocol"] == "HTTP":
        for policy in balancer.of("l7policy", parent=listener.id):
            for rule in balancer.of("rule", parent=policy.id):
                if rule.values["type"] == "PATH":
                    yield f"{rule.values['value']}x", False
                    yield f"{rule.values['value']}x", True
