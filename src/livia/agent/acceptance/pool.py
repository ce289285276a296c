"""What pools, members and health monitors must be like."""

import re
from collections.abc import Sequence

from livia.agent.acceptance.fields import address, between, unique
from livia.agent.errors import InvalidSpecError
from livia.agent.familiar import apart
from livia.agent.names import checked_id
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import MemberSpec, MonitorSpec, PoolSpec

#: seconds, as many as the API takes (contract 40, section 2); what runs them may look more often
_LONGEST_PAUSE = 2**31 - 1
MONITORS = frozenset({MonitorType.HTTP, MonitorType.HTTPS, MonitorType.TCP, MonitorType.TLS_HELLO, MonitorType.PING})
#: of UDP and SCTP pools (contract 40, section 5)
DATAGRAM_MONITORS = frozenset({MonitorType.UDP_CONNECT, MonitorType.SCTP, MonitorType.TCP, MonitorType.HTTP})
ALGORITHMS = frozenset(Algorithm)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"})
_PATH = re.compile(r"/[\x21-\x7e]{0,254}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_CODES = re.compile(r"[0-9]{3}(\s*,\s*[0-9]{3})*|[0-9]{3}-[0-9]{3}")
#: RFC 6265, section 4.1.1: a cookie name is a token
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}")


def check_pool(pool: PoolSpec, accepted: Sequence[MemberSpec] = ()) -> None:
    """`accepted`: members that have passed before."""
    checked_id(pool.id, "pool id")
    datagram = pool.protocol in (PoolProtocol.UDP, PoolProtocol.SCTP)
    if pool.algorithm not in ALGORITHMS and not datagram:
        raise InvalidSpecError(f"This agent has no algorithm {pool.algorithm} (pool {pool.id}).")
    persistence = pool.persistence
    if persistence is not None and persistence.type is PersistenceType.APP_COOKIE:
        name = persistence.cookie_name or ""
        if not _TOKEN.fullmatch(name):
            raise InvalidSpecError(f"{name[:80]!r} is no cookie name (pool {pool.id}).")
    if datagram and persistence is not None:
        if persistence.type is not PersistenceType.SOURCE_IP:
            raise InvalidSpecError(f"There are no cookies in {pool.protocol} (pool {pool.id}).")
        if persistence.granularity is not None:
            address(persistence.granularity, "netmask of session persistence")
    before, now = apart(accepted, pool.members)
    known = {member.id: member for member in accepted[before]}
    for member in pool.members[now]:
        if known.get(member.id) != member:
            _member(member)
    unique("member", (member.id for member in pool.members))
    if pool.monitor is not None:
        _monitor(pool.monitor, pool)


def _member(member: MemberSpec) -> None:
    checked_id(member.id, "member id")
    address(member.address, "member address")
    between(member.port, 1, 65535, "member port")
    between(member.weight, 0, 256, "weight of a member")
    if member.monitor_address is not None:
        address(member.monitor_address, "monitor address")
    if member.monitor_port is not None:
        between(member.monitor_port, 1, 65535, "monitor port")


def _monitor(monitor: MonitorSpec, pool: PoolSpec) -> None:
    pool_id = pool.id
    possible = DATAGRAM_MONITORS if pool.protocol in (PoolProtocol.UDP, PoolProtocol.SCTP) else MONITORS
    if monitor.type not in possible:
        raise InvalidSpecError(f"This agent makes no {monitor.type} health monitors for {pool.protocol} ({pool_id}).")
    between(monitor.delay, 0, _LONGEST_PAUSE, "delay of a health monitor")
    between(monitor.timeout, 0, _LONGEST_PAUSE, "timeout of a health monitor")
    between(monitor.rise, 1, 50, "number of successes of a health monitor")
    between(monitor.fall, 1, 50, "number of failures of a health monitor")
    if monitor.http_method is not None and monitor.http_method not in METHODS:
        raise InvalidSpecError(f"{monitor.http_method[:80]!r} is no HTTP method (pool {pool_id}).")
    if monitor.url_path is not None and not _PATH.fullmatch(monitor.url_path):
        raise InvalidSpecError(f"{monitor.url_path[:80]!r} is no path to check (pool {pool_id}).")
    if monitor.domain_name is not None and not _HOST.fullmatch(monitor.domain_name):
        raise InvalidSpecError(f"{monitor.domain_name[:80]!r} is no domain name (pool {pool_id}).")
    if monitor.expected_codes is not None and not _CODES.fullmatch(monitor.expected_codes.strip()):
        raise InvalidSpecError(f"{monitor.expected_codes[:80]!r} is no list of status codes (pool {pool_id}).")
    if monitor.http_version not in (None, 1.0, 1.1):
        raise InvalidSpecError(f"HTTP version {monitor.http_version} is unknown (pool {pool_id}).")
