"""Which listener sends to which pool. Each pair has a backend of its own, because timeouts are the listener's."""

from collections.abc import Iterator

from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, PoolSpec, Spec

_HTTP = frozenset({ListenerProtocol.HTTP, ListenerProtocol.TERMINATED_HTTPS, ListenerProtocol.PROMETHEUS})


def backend_name(pool_id: str, listener_id: str) -> str:
    """The name under which a pool is a listener's."""
    return f"{pool_id}:{listener_id}"


def streams(spec: Spec) -> Iterator[ListenerSpec]:
    """The listeners that are HAProxy's; the others' packets it does not see."""
    return (listener for listener in spec.listeners if not listener.datagram)


def backends(spec: Spec) -> Iterator[tuple[ListenerSpec, PoolSpec]]:
    """Each listener with each pool that it sends traffic to."""
    pools = {pool.id: pool for pool in spec.pools}
    for listener in streams(spec):
        for pool_id in listener.pool_ids():
            yield listener, pools[pool_id]


def is_http(listener: ListenerSpec) -> bool:
    """Whether HAProxy reads the listener's requests, instead of passing bytes on."""
    return listener.protocol in _HTTP


def is_scraped(spec: Spec) -> bool:
    """Whether the load balancer's tenant reads its metrics."""
    return any(listener.protocol is ListenerProtocol.PROMETHEUS for listener in spec.listeners)


def mode(listener: ListenerSpec) -> str:
    """The mode of a listener's frontend and backends."""
    return "mode http" if is_http(listener) else "mode tcp"
