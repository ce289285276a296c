"""Pools with members and health checks, as one amphora has them."""

import re

from msgspec import Struct

from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec.tls import MemberTlsSpec

#: entries of each stick table (contract 90, haproxy_stick_size)
STICK_SIZE = "10k"
_SIZE = re.compile(r"([1-9][0-9]{0,9})([kmg]?)", re.ASCII)
_FACTOR = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
#: HAProxy counts them in 32 bits
_MOST_ENTRIES = 2**32 - 1


def is_stick_size(text: str) -> bool:
    """Whether HAProxy takes `text` as the size of a stick table: a number, in units of 1024 with k, m or g."""
    found = _SIZE.fullmatch(text)
    return found is not None and int(found[1]) * _FACTOR[found[2]] <= _MOST_ENTRIES


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


class MemberSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of perhaps thousands: what is as usual is not said."""

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
