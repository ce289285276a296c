"""Pools with members and health checks, as one amphora has them."""

from msgspec import Struct

from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec.tls import MemberTlsSpec


class MonitorSpec(Struct, frozen=True, kw_only=True):
    """Health check of every server in a pool. Seconds; `rise` successes, `fall` failures."""

    type: MonitorType
    delay: int
    timeout: int
    rise: int
    fall: int
    http_method: str | None = None
    url_path: str | None = None
    expected_codes: str | None = None
    http_version: float | None = None
    domain_name: str | None = None


class MemberSpec(Struct, frozen=True, kw_only=True):
    id: str
    address: str
    port: int
    weight: int
    backup: bool = False
    enabled: bool = True
    monitor_address: str | None = None
    monitor_port: int | None = None


class PersistenceSpec(Struct, frozen=True, kw_only=True):
    type: PersistenceType
    cookie_name: str | None = None
    #: seconds, and a netmask of clients that are taken for one: UDP and SCTP only
    timeout: int | None = None
    granularity: str | None = None


class PoolSpec(Struct, frozen=True, kw_only=True):
    """A pool as one listener uses it: timeouts are that listener's."""

    id: str
    protocol: PoolProtocol
    algorithm: Algorithm
    persistence: PersistenceSpec | None = None
    monitor: MonitorSpec | None = None
    tls: MemberTlsSpec | None = None
    members: tuple[MemberSpec, ...] = ()
