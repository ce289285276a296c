"""Which members the agent checks itself, and where. Pure."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from livia.core.model.pool import MonitorType, PoolProtocol
from livia.core.spec import MonitorSpec, PoolSpec, Spec

#: (pool id, member id)
MemberKey: TypeAlias = tuple[str, str]


class Place(NamedTuple):
    """What is checked: the verdict on it outlives every other change."""

    type: MonitorType
    address: str
    #: 0 for PING, which has none
    port: int


def probed(pool: PoolSpec) -> bool:
    """Whether the agent checks this pool's members: HAProxy cannot, or is not there."""
    return pool.monitor is not None and (
        pool.monitor.type is MonitorType.PING or pool.protocol in (PoolProtocol.UDP, PoolProtocol.SCTP)
    )


def places(spec: Spec) -> Iterator[tuple[MemberKey, Place, MonitorSpec]]:
    """Every member to check. Disabled members are not checked."""
    for pool in spec.pools:
        if pool.monitor is None or not probed(pool):
            continue
        for member in pool.members:
            if member.enabled:
                address = member.monitor_address or member.address
                port = 0 if pool.monitor.type is MonitorType.PING else member.monitor_port or member.port
                yield (pool.id, member.id), Place(pool.monitor.type, address, port), pool.monitor
