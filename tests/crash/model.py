"""What tenants were promised: the load balancers as the answers of the API say they must be."""

from threading import RLock
from typing import Any

from msgspec import Struct, field

#: the position behind all others (contract 50, section 1.3)
LAST = 2147483647


class Thing(Struct, kw_only=True):
    """One object below a load balancer. `values`: what it was last given. `owner`: the client whose it is."""

    kind: str
    id: str
    owner: str
    values: dict[str, Any]
    parent: str | None = None


class Balancer(Struct, kw_only=True):
    """One load balancer. `more`: addresses beside the VIP; `leaving`: its deletion was asked for, or will be in a
    moment; `counting`: listeners of which a policy was deleted that may still count where positions are concerned
    (contract 50, section 1.6); `distrusting`: references to authorities that did not sign members' certificates."""

    id: str
    vip: str
    project: str
    owner: str
    values: dict[str, Any]
    more: list[str] = field(default_factory=list)
    things: dict[str, Thing] = field(default_factory=dict)
    leaving: bool = False
    counting: set[str] = field(default_factory=set)
    distrusting: set[str] = field(default_factory=set)

    def of(self, kind: str, *, parent: str | None = None, owner: str | None = None) -> list[Thing]:
        """Its objects of a kind."""
        return [
            thing
            for thing in list(self.things.values())
            if thing.kind == kind and parent in (None, thing.parent) and owner in (None, thing.owner)
        ]

    def policies(self, listener_id: str) -> list[Thing]:
        """Those of a listener, by position."""
        return sorted(self.of("l7policy", parent=listener_id), key=lambda policy: policy.values["position"])

    def add(self, thing: Thing) -> None:
        """An object is there."""
        self.things[thing.id] = thing
        if thing.kind == "l7policy":
            wanted = thing.values.get("position", LAST)
            thing.values["position"] = LAST
            self.place(thing, wanted)

    def place(self, policy: Thing, position: int) -> None:
        """A policy has another position; beyond the end: the last. The others keep their order."""
        assert policy.parent is not None
        order = [each for each in self.policies(policy.parent) if each is not policy]
        order.insert(position - 1, policy)
        _number(order)

    def remove(self, key: str) -> None:
        """An object is gone, and what belongs to it with it (contract 20, 30, 40, 50)."""
        gone = self.things.pop(key, None)
        if gone is None:
            return
        for child in [each for each in self.things.values() if each.parent == key]:
            self.remove(child.id)
        if gone.kind == "l7policy" and gone.parent in self.things:
            self.counting.add(gone.parent)
            _number(self.policies(gone.parent))
        if gone.kind == "pool":
            for listener in self.of("listener"):
                if listener.values.get("default_pool_id") == key:
                    listener.values["default_pool_id"] = None


def _number(policies: list[Thing]) -> None:
    for position, policy in enumerate(policies, 1):
        policy.values["position"] = position


class World:
    """All load balancers, by id."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.balancers: dict[str, Balancer] = {}

    def of(self, project: str) -> list[Balancer]:
        """Those of a tenant that stay."""
        with self.lock:
            return [each for each in self.balancers.values() if each.project == project and not each.leaving]

    def settled(self) -> None:
        """Nothing is under way any more."""
        with self.lock:
            for balancer in self.balancers.values():
                balancer.counting.clear()
