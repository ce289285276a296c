"""Backends: each pool of a listener has one, because its timeouts are the listener's."""

from collections.abc import Iterator

from livia.core.spec import ListenerSpec, PoolSpec, Spec


def backend_name(pool_id: str, listener_id: str) -> str:
    """The name under which a pool is a listener's."""
    return f"{pool_id}:{listener_id}"


def backends(spec: Spec) -> Iterator[tuple[ListenerSpec, PoolSpec]]:
    """Each listener with each pool that it sends traffic to."""
    pools = {pool.id: pool for pool in spec.pools}
    for listener in spec.listeners:
        for pool_id in listener.pool_ids():
            yield listener, pools[pool_id]
