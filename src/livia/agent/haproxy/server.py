"""One member as HAProxy sees it: the words of its `server` line, in a file and at run time (manual, section 5.2)."""

from ipaddress import ip_address

from livia.core.model.pool import MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import MemberSpec, MonitorSpec, PoolSpec

#: A check every 0 s, or one that must be answered in 0 s, is refused or endless in HAProxy.
_LEAST_SECONDS = 1


def endpoint(address: str, port: int) -> str:
    """`address` and port in HAProxy's form, which tells IPv6 apart by a prefix."""
    parsed = ip_address(address)
    return f"ipv6@{parsed}:{port}" if parsed.version == 6 else f"{parsed}:{port}"


def seconds(value: int) -> str:
    """A whole number of seconds as a check's interval or timeout."""
    return f"{max(_LEAST_SECONDS, value)}s"


def words(pool: PoolSpec, member: MemberSpec) -> list[str]:
    """`server` options that both a file and `add server` take."""
    result = [endpoint(member.address, member.port), "weight", str(member.weight)]
    if member.backup:
        result.append("backup")
    if pool.protocol is PoolProtocol.PROXY:
        result.append("send-proxy")
    elif pool.protocol is PoolProtocol.PROXYV2:
        result.append("send-proxy-v2")
    if pool.monitor is not None:
        result += _check(pool.monitor, member)
    return result


def line_words(pool: PoolSpec, member: MemberSpec, *, http: bool) -> list[str]:
    """The whole `server` line of a file."""
    result = ["server", member.id, *words(pool, member)]
    if http and pool.persistence is not None and pool.persistence.type is PersistenceType.HTTP_COOKIE:
        result += ["cookie", member.id]
    if not member.enabled:
        result.append("disabled")
    return result


def _check(monitor: MonitorSpec, member: MemberSpec) -> list[str]:
    result = ["check", "inter", seconds(monitor.delay), "fall", str(monitor.fall), "rise", str(monitor.rise)]
    if member.monitor_address is not None:
        result += ["addr", str(ip_address(member.monitor_address))]
    if member.monitor_port is not None:
        result += ["port", str(member.monitor_port)]
    if monitor.type in (MonitorType.HTTPS, MonitorType.TLS_HELLO):
        # Members' certificates are the tenant's own business (contract 40, section 10).
        result += ["check-ssl", "verify", "none"]
        if monitor.domain_name is not None:
            result += ["check-sni", monitor.domain_name]
    return result
