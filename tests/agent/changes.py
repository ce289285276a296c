"""Changes of a load balancer that the API can ask for, each a pure function of the spec and two numbers.

A change that a spec has no place for (a member of a pool without members) leaves it as it is.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from msgspec.structs import replace

from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import ListenerSpec, MemberSpec, PersistenceSpec, PolicySpec, PoolSpec, RuleSpec, Spec, name_of
from tests.agent.lab import listener, member, monitor, pool, single
from tests.agent.tls_site import member_tls, termination
from tests.keymaterial import INTERMEDIATE, OTHER, ROOT, WEB

#: `who` chooses the object, `value` what becomes of it
Change: TypeAlias = Callable[[Spec, int, int], Spec]

#: all key material that specs here name
TEXTS = tuple(each.text() for each in (WEB, OTHER, ROOT)) + tuple(each.pem.decode() for each in (ROOT, INTERMEDIATE))
_CERTIFICATES = tuple(name_of(text) for text in TEXTS[:3])
_AUTHORITIES = tuple(name_of(text) for text in TEXTS[3:])

#: where a member answers
ADDRESSES = ("172.31.213.11", "172.31.213.12", "172.31.213.13")
#: nobody answers on the second
_PORTS = (80, 81)
_PERSISTENCE = (
    None,
    PersistenceSpec(type=PersistenceType.SOURCE_IP),
    PersistenceSpec(type=PersistenceType.HTTP_COOKIE),
    PersistenceSpec(type=PersistenceType.APP_COOKIE, cookie_name="session"),
)
_MONITORS = (MonitorType.HTTP, MonitorType.TCP, MonitorType.HTTPS, MonitorType.TLS_HELLO, MonitorType.PING)
_MOST_MEMBERS = 5


def beginning() -> Spec:
    """Four listeners: two share a pool, one passes bytes, one ends TLS."""
    listeners = (
        listener(id="http", default_pool_id="web"),
        listener(id="alike", port=81, default_pool_id="web"),
        listener(id="bytes", port=82, default_pool_id="streams", protocol=ListenerProtocol.TCP),
        listener(
            id="ended",
            port=443,
            default_pool_id="safe",
            protocol=ListenerProtocol.TERMINATED_HTTPS,
            tls=termination(TEXTS[0]),
        ),
    )
    pools = (
        pool(member(1), member(2), id="web", monitor=monitor()),
        pool(member(1), id="streams", protocol=PoolProtocol.TCP, monitor=monitor(type=MonitorType.TCP)),
        pool(member(1), id="safe"),
    )
    return single(pools, listeners)


def _on_member(change: Callable[[MemberSpec, int], dict[str, Any]]) -> Change:
    def changed(found: PoolSpec, value: int) -> PoolSpec:
        if not found.members:
            return found
        place = value % len(found.members)
        members = list(found.members)
        members[place] = replace(members[place], **change(members[place], value // len(members)))
        return replace(found, members=tuple(members))

    return _on_pool(changed)


def _on_pool(change: Callable[[PoolSpec, int], PoolSpec]) -> Change:
    def changed(spec: Spec, who: int, value: int) -> Spec:
        pools = list(spec.pools)
        pools[who % len(pools)] = change(pools[who % len(pools)], value)
        return replace(spec, pools=tuple(pools))

    return changed


def _on_listener(change: Callable[[ListenerSpec, int], ListenerSpec]) -> Change:
    def changed(spec: Spec, who: int, value: int) -> Spec:
        listeners = list(spec.listeners)
        listeners[who % len(listeners)] = change(listeners[who % len(listeners)], value)
        return replace(spec, listeners=tuple(listeners))

    return changed


def _add_member(found: PoolSpec, value: int) -> PoolSpec:
    present = {each.id for each in found.members}
    free = [number for number in range(1, _MOST_MEMBERS + 1) if f"m{number}" not in present]
    if not free:
        return found
    # Only what is at the first addresses answers.
    coming = member(free[value % len(free)], address=ADDRESSES[value % 3], weight=value % 4, backup=value % 5 == 4)
    return replace(found, members=tuple(sorted((*found.members, coming), key=lambda each: each.id)))


def _remove_member(found: PoolSpec, value: int) -> PoolSpec:
    if not found.members:
        return found
    place = value % len(found.members)
    return replace(found, members=found.members[:place] + found.members[place + 1 :])


def _tune_monitor(found: PoolSpec, value: int) -> PoolSpec:
    if found.monitor is None:
        return found
    tuned = replace(found.monitor, delay=1 + value % 3, rise=1 + value // 3 % 3, fall=1 + value // 9 % 3)
    return replace(found, monitor=tuned)


def _change_monitor(found: PoolSpec, value: int) -> PoolSpec:
    chosen = value % (len(_MONITORS) + 1)
    wanted = None if chosen == len(_MONITORS) else monitor(type=_MONITORS[chosen], timeout=1 + value // 6 % 3)
    return replace(found, monitor=wanted)


def _encrypt_to_members(found: PoolSpec, value: int) -> PoolSpec:
    wanted = (
        None,
        member_tls(),
        member_tls(ca=_AUTHORITIES[value // 4 % 2]),
        member_tls(certificate=_CERTIFICATES[value // 4 % 3], ca=_AUTHORITIES[value // 12 % 2]),
    )
    return replace(found, tls=wanted[value % 4])


def _certificates(found: ListenerSpec, value: int) -> ListenerSpec:
    if found.tls is None:
        return found
    first = value % len(_CERTIFICATES)
    rotated = (*_CERTIFICATES[first:], *_CERTIFICATES[:first])
    return replace(found, tls=replace(found.tls, certificates=rotated[: 1 + value // 3 % 3]))


def _limit(found: ListenerSpec, value: int) -> ListenerSpec:
    return replace(found, connection_limit=(-1, 10, 500)[value % 3])


def _timeouts(found: ListenerSpec, value: int) -> ListenerSpec:
    return replace(found, timeout_client_data=50000 + value % 3, timeout_member_data=50000 + value // 3 % 3)


def _policies(found: ListenerSpec, value: int) -> ListenerSpec:
    if found.protocol is ListenerProtocol.TCP:
        return found
    rule = RuleSpec(type=RuleType.PATH, compare_type=CompareType.STARTS_WITH, value=f"/{value % 7}")
    elsewhere = PolicySpec(id="p", action=Action.REDIRECT_TO_POOL, pool_id="safe", rules=(rule,))
    refused = PolicySpec(id="q", action=Action.REJECT, rules=(rule,))
    return replace(found, policies=((), (elsewhere,), (refused, elsewhere))[value % 3])


def _come_and_go(spec: Spec, who: int, _value: int) -> Spec:
    """A listener that is there goes, one that is not comes."""
    every = {each.id: each for each in beginning().listeners}
    name = sorted(every)[who % len(every)]
    if any(each.id == name for each in spec.listeners):
        kept = tuple(each for each in spec.listeners if each.id != name)
        return replace(spec, listeners=kept) if kept else spec
    return replace(spec, listeners=tuple(sorted((*spec.listeners, every[name]), key=lambda each: each.port)))


#: of members and the rhythm of their checks, and what renews key material
AT_RUNTIME: dict[str, Change] = {
    "add a member": _on_pool(_add_member),
    "remove a member": _on_pool(_remove_member),
    "weigh a member": _on_member(lambda _old, value: {"weight": (0, 1, 7, 256)[value % 4]}),
    "enable or disable a member": _on_member(lambda old, _value: {"enabled": not old.enabled}),
    "make a member a backup or not": _on_member(lambda old, _value: {"backup": not old.backup}),
    "move a member": _on_member(
        lambda _old, value: {"address": ADDRESSES[value % 3], "port": _PORTS[value // 3 % len(_PORTS)]}
    ),
    "check another address": _on_member(lambda _old, value: {"monitor_address": (None, *ADDRESSES)[value % 4]}),
    "check another port": _on_member(lambda _old, value: {"monitor_port": (None, *_PORTS)[value % 3]}),
    "tune a monitor": _on_pool(_tune_monitor),
    "change certificates": _on_listener(_certificates),
}
#: of everything else
BY_RELOAD: dict[str, Change] = {
    "change a monitor": _on_pool(_change_monitor),
    "bind clients": _on_pool(lambda old, value: replace(old, persistence=_PERSISTENCE[value % 4])),
    "change the algorithm": _on_pool(lambda old, value: replace(old, algorithm=tuple(Algorithm)[value % 4])),
    "encrypt to members": _on_pool(_encrypt_to_members),
    "limit connections": _on_listener(_limit),
    "change timeouts": _on_listener(_timeouts),
    "change policies": _on_listener(_policies),
    "add or remove a listener": _come_and_go,
}
