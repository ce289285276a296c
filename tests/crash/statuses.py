"""Operating statuses that the API must show, by what tenants were promised (contract 00, section 14.4)."""

from collections.abc import Iterator
from typing import TypeAlias

from tests.crash.model import Balancer, Thing
from tests.crash.prediction import HTTP, is_enabled, is_on, listening, passes

#: one of which is shown
Statuses: TypeAlias = frozenset[str]
_SEVERITY = ("ONLINE", "DEGRADED", "ERROR")
_OF_ITSELF = ("l7policy", "rule", "healthmonitor")


def operating(balancer: Balancer) -> dict[str, Statuses]:
    """Those of a load balancer and of everything in it, by id."""
    own = {thing.id: _is_it(thing) for kind in _OF_ITSELF for thing in balancer.of(kind)}
    listeners = balancer.of("listener")
    found = {each.id: _one("ONLINE" if listening(balancer, each) else "OFFLINE") for each in listeners}
    used = {pool_id: each for each in listeners if listening(balancer, each) for pool_id in _pools(balancer, each)}
    for pool in balancer.of("pool"):
        by = used.get(pool.id)
        members = balancer.of("member", parent=pool.id)
        if by is None:
            # Nobody looks at them: they are as they were made, or as nobody knows.
            found |= {each.id: frozenset({"OFFLINE", "NO_MONITOR"}) for each in members}
            found[pool.id] = _one("OFFLINE")
        else:
            of_members = {each.id: _member(balancer, each) for each in members}
            found[pool.id] = _pool(balancer, by, members, set(of_members.values()))
            found |= {key: _one(status) for key, status in of_members.items()}
    parts = [found[each.id] for kind in ("listener", "pool") for each in balancer.of(kind)]
    worst = max((_SEVERITY.index(each) for part in parts for each in part if each in _SEVERITY), default=0)
    return {**own, **found, balancer.id: _one(_SEVERITY[worst] if is_on(balancer.values) else "OFFLINE")}


def _one(status: str) -> Statuses:
    return frozenset({status})


def _is_it(thing: Thing) -> Statuses:
    return _one("ONLINE" if is_on(thing.values) else "OFFLINE")


def _pools(balancer: Balancer, listener: Thing) -> Iterator[str]:
    """What a listener sends to."""
    wanted = [listener.values.get("default_pool_id")]
    if listener.values["protocol"] in HTTP:
        wanted += [
            policy.values["redirect_pool_id"]
            for policy in balancer.policies(listener.id)
            if policy.values["action"] == "REDIRECT_TO_POOL" and is_on(policy.values)
            if any(is_on(rule.values) for rule in balancer.of("rule", parent=policy.id))
        ]
    yield from (pool_id for pool_id in wanted if pool_id is not None and is_enabled(balancer, pool_id))


def _member(balancer: Balancer, member: Thing) -> str:
    assert member.parent is not None
    passing = passes(balancer, member.parent, member)
    if not is_on(member.values):
        return "OFFLINE"
    if passing is False:
        return "ERROR"
    if member.values["weight"] == 0:
        return "DRAINING"
    return "NO_MONITOR" if passing is None else "ONLINE"


def _pool(balancer: Balancer, listener: Thing, members: list[Thing], of_members: set[str]) -> Statuses:
    taking = {"ONLINE", "NO_MONITOR"}
    if listener.values["protocol"] == "UDP":
        # Who drains has its flows still, and where nobody checks nobody says that none is well.
        unchecked = {"OFFLINE"} if all(passes(balancer, each.parent or "", each) is None for each in members) else set()
        taking |= {"DRAINING", *unchecked}
    if members and not of_members & taking:
        return _one("ERROR")
    return _one("DEGRADED" if "ERROR" in of_members else "ONLINE")
