"""One member as HAProxy sees it: the words of its `server` line, in a file and at run time (manual, section 5.2)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from zlib import crc32

from livia.agent.acceptance.fields import LONGEST
from livia.agent.haproxy.text import line
from livia.agent.probes.target import probed
from livia.core.model.pool import MonitorType, PoolProtocol
from livia.core.spec import MemberSpec, MonitorSpec, PoolSpec

#: addresses and ids whose form is kept: members that a change leaves alone are most of the work of writing its file
_REMEMBERED = 16384
#: A check every 0 s, or one that must be answered in 0 s, is refused or endless in HAProxy.
_LEAST_SECONDS = 1
#: protocols that begin with who the client is
_INTRODUCED = {PoolProtocol.PROXY: "send-proxy", PoolProtocol.PROXYV2: "send-proxy-v2"}


@lru_cache(maxsize=_REMEMBERED)
def endpoint(address: str, port: int) -> str:
    """`address` and port in HAProxy's form, which tells IPv6 apart by a prefix."""
    parsed = ip_address(address)
    return f"ipv6@{parsed}:{port}" if parsed.version == 6 else f"{parsed}:{port}"


def seconds(value: int) -> str:
    """A whole number of seconds as a check's interval or timeout: at most 24 days, which is what timers hold."""
    return f"{min(max(_LEAST_SECONDS, value), LONGEST // 1000)}s"


def milliseconds(value: int) -> int:
    """A listener's timeout. 0 is for ever: HAProxy takes a missing timeout for a mistake, so that is its longest."""
    return value or LONGEST


#: ids of servers are positive and below this (manual, section 5.2, id)
_IDS = 2**31


def ids(pool: PoolSpec) -> dict[str, int]:
    """HAProxy's id of each member's server.

    Consistent hashing places a server by its id, so the id must not depend on when a member came: a restart would
    send clients elsewhere, and so would the other amphora of a pair. It is a checksum of the member's id; of two
    members with one checksum the later in order takes the next free id.
    """
    found = {member.id: first_id(member.id) for member in pool.members}
    if len(set(found.values())) == len(found):
        # Nearly always; nobody's order matters then.
        return found
    taken: dict[int, str] = {}
    for name in sorted(found):
        number = found[name]
        while number in taken:
            number = number % (_IDS - 1) + 1
        taken[number] = name
    return {name: number for number, name in taken.items()}


@lru_cache(maxsize=_REMEMBERED)
def first_id(name: str) -> int:
    """The id of a server of this name, unless another has it."""
    return crc32(name.encode()) % (_IDS - 1) + 1


def words(pool: PoolSpec, member: MemberSpec, number: int) -> list[str]:
    """`server` options that both a file and `add server` take; `number` is the server's id."""
    result = [endpoint(member.address, member.port), "id", str(number), "weight", str(member.weight)]
    if member.backup:
        result.append("backup")
    if pool.protocol in _INTRODUCED:
        result.append(_INTRODUCED[pool.protocol])
    if pool.monitor is not None and not probed(pool):
        result += _check(pool, pool.monitor, member)
        if pool.protocol in _INTRODUCED and member.monitor_address is None and member.monitor_port is None:
            # What takes traffic with an introduction only takes checks with one only. HAProxy sees to it by itself for
            # servers of a file, and forgets it for those added at run time. A place of its own for checks is plain.
            result.append("check-send-proxy")
    return result


def server_lines(pool: PoolSpec, members: Iterable[MemberSpec], numbers: Mapping[str, int]) -> list[str]:
    """The `server` lines of a file for some of a pool's members; `numbers`: the ids of its servers. What members of one
    kind have in common is worded once."""
    rests: dict[tuple[object, ...], str] = {}
    found = []
    for member in members:
        number = numbers[member.id]
        # Nothing in it needs quotes: ids, addresses and numbers have been checked.
        begin = f"server {member.id} {endpoint(member.address, member.port)} id {number} weight {member.weight}"
        kind = (member.backup, member.enabled, member.monitor_address, member.monitor_port)
        rest = rests.get(kind)
        if rest is None:
            rest = rests[kind] = line(*_line_words(pool, member, number)).removeprefix(begin)
        found.append(begin + rest)
    return found


def _line_words(pool: PoolSpec, member: MemberSpec, number: int) -> list[str]:
    result = ["server", member.id, *words(pool, member, number)]
    if not member.enabled:
        result.append("disabled")
    return result


def _place(address: str) -> str:
    """An address alone: HAProxy takes what follows the last colon for a port, and half of an IPv6 address with it."""
    parsed = ip_address(address)
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def _check(pool: PoolSpec, monitor: MonitorSpec, member: MemberSpec) -> list[str]:
    result = ["check", "inter", seconds(monitor.delay), "fall", str(monitor.fall), "rise", str(monitor.rise)]
    if member.monitor_address is not None:
        result += ["addr", _place(member.monitor_address)]
    if member.monitor_port is not None:
        result += ["port", str(member.monitor_port)]
    if monitor.type in (MonitorType.HTTPS, MonitorType.TLS_HELLO):
        if pool.tls is None:
            # Members' certificates are the tenant's own business (contract 40, section 10).
            result += ["check-ssl", "verify", "none"]
        if monitor.domain_name is not None:
            result += ["check-sni", monitor.domain_name]
    return result
