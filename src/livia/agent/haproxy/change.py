"""How to get from what runs to what is wanted with the least disturbance. Pure.

At run time: members (`servers`), the rhythm of health checks, key material (`certificates`). All else is one reload,
among it what a backend has once for all its servers: the type, timeout, request and expectation of its checks have no
runtime command in HAProxy 2.6.

Nor are connection limits set at run time: HAProxy 2.6.12 hangs, and its watchdog ends it, when `set maxconn frontend`
raises a limit at which clients wait.

A disabled listener is left out of the file, and so reloads: after `disable frontend` clients with an open
connection would be served on for as long as they keep it, while an old worker closes it after its next answer; and
a frontend that a file disables cannot be enabled at run time.
"""

from msgspec.structs import replace

from livia.agent.haproxy.servers import (
    AtRuntime,
    ByReload,
    Command,
    Departure,
    Replacement,
    Surroundings,
    steps,
)
from livia.agent.haproxy.wiring import backends, streams
from livia.core.spec import ListenerSpec, PoolSpec, Spec


def plan(running: Spec, wanted: Spec, around: Surroundings) -> AtRuntime | ByReload:
    """What HAProxy has to be told. Both specs are valid."""
    if skeleton(running) != skeleton(wanted):
        return ByReload("more than members, check intervals and key material changed")
    before = {pool.id: pool for pool in running.pools}
    commands: list[Command] = []
    replacements: list[Replacement] = []
    departures: list[Departure] = []
    returns: list[str] = []
    for listener, pool in backends(wanted):
        if before[pool.id] == pool:
            continue
        step = steps(listener, before[pool.id], pool, around)
        if isinstance(step, ByReload):
            return step
        commands += step.commands
        replacements += step.replacements
        departures += step.departures
        returns += step.returns
    return AtRuntime(tuple(commands), tuple(replacements), tuple(departures), tuple(returns))


def skeleton(spec: Spec) -> Spec:
    """What only a reload can change. Interfaces, VRRP, datagrams and allowed CIDRs are not HAProxy's."""
    listeners = tuple(streams(spec))
    used = {pool_id for listener in listeners for pool_id in listener.pool_ids()}
    return replace(
        spec,
        interfaces=(),
        vrrp=None,
        listeners=tuple(_listener_skeleton(listener) for listener in listeners),
        pools=tuple(_pool_skeleton(pool) for pool in spec.pools if pool.id in used),
    )


def _listener_skeleton(listener: ListenerSpec) -> ListenerSpec:
    tls = listener.tls
    if tls is not None:
        # The file names places of certificates; what is in them changes at run time (`certificates`).
        tls = replace(tls, certificates=())
    return replace(listener, tls=tls, allowed_cidrs=())


def _pool_skeleton(pool: PoolSpec) -> PoolSpec:
    monitor = replace(pool.monitor, delay=0, rise=0, fall=0) if pool.monitor is not None else None
    tls = pool.tls
    if tls is not None:
        tls = replace(tls, certificate=_place(tls.certificate))
    return replace(pool, members=(), monitor=monitor, tls=tls)


def _place(material: str | None) -> str | None:
    return None if material is None else ""
