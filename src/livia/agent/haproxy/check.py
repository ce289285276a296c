"""What a spec must be like before any of it reaches a file. Everything a tenant can set passes here."""

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_interface, ip_network

from livia.agent.errors import InvalidSpecError
from livia.agent.names import checked_id
from livia.core.model.l7 import MOST_RULES, REDIRECT_CODES, Action, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import (
    SPEC_VERSION,
    Interface,
    ListenerSpec,
    MemberSpec,
    MonitorSpec,
    PolicySpec,
    PoolSpec,
    RuleSpec,
    Spec,
)

LISTENERS = frozenset({ListenerProtocol.HTTP, ListenerProtocol.TCP, ListenerProtocol.HTTPS})
POOLS = frozenset({PoolProtocol.HTTP, PoolProtocol.TCP, PoolProtocol.HTTPS, PoolProtocol.PROXY, PoolProtocol.PROXYV2})
MONITORS = frozenset({MonitorType.HTTP, MonitorType.HTTPS, MonitorType.TCP, MonitorType.TLS_HELLO})
ALGORITHMS = frozenset({Algorithm.ROUND_ROBIN, Algorithm.LEAST_CONNECTIONS, Algorithm.SOURCE_IP})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"})

#: contract 20, section 4.2: 24 days, which is also what HAProxy's 31-bit millisecond timers hold
_LONGEST = 2073600000
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_INTERFACE = re.compile(r"eth[0-9]{1,3}")
_PATH = re.compile(r"/[\x21-\x7e]{0,254}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_CODES = re.compile(r"[0-9]{3}( *, *[0-9]{3})*|[0-9]{3}-[0-9]{3}")
#: RFC 6265, section 4.1.1: a cookie name is a token
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,255}")
_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x20\x7f-\x9f]{1,248}")
#: a header's name is a token, too: RFC 9110, section 5.1
_KEYS = {
    RuleType.HEADER: re.compile(r"[!#$%&'*+,.^_`|~0-9A-Za-z-]{1,255}"),
    RuleType.COOKIE: re.compile(r"[!#$%&'*+,.^_`|~0-9A-Za-z-]{1,255}"),
    RuleType.SSL_DN_FIELD: re.compile(r"[A-Za-z][A-Za-z0-9-]{0,254}"),
}
_RULE_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{1,255}")
_DIGITS = re.compile(r"[0-9]{1,9}")


def check(spec: Spec) -> None:
    """Raises InvalidSpecError with a sentence that names what cannot be."""
    if spec.version != SPEC_VERSION:
        raise InvalidSpecError(f"This agent reads specs of version {SPEC_VERSION}, not {spec.version}.")
    checked_id(spec.amphora_id, "amphora id")
    checked_id(spec.load_balancer_id, "load balancer id")
    for interface in spec.interfaces:
        _interface(interface)
    for vip in spec.vips:
        _address(vip.address, "VIP")
        if vip.interface not in {interface.name for interface in spec.interfaces}:
            raise InvalidSpecError(f"The VIP {vip.address} is on {vip.interface!r}, which the spec does not have.")
    for peer in spec.peers:
        checked_id(peer.amphora_id, "peer's amphora id")
        _address(peer.address, "peer address")
        _between(peer.port, 1, 65535, "peer port")
    pools = {pool.id for pool in spec.pools}
    for listener in spec.listeners:
        _listener(listener, pools)
    for pool in spec.pools:
        _pool(pool)
    _unique("listener", (each.id for each in spec.listeners))
    _unique("listener port", (str(each.port) for each in spec.listeners))
    _unique("pool", (each.id for each in spec.pools))
    _unique("interface", (each.name for each in spec.interfaces))


def _unique(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise InvalidSpecError(f"The {what} {value} is in the spec twice.")
        seen.add(value)


def _address(text: str, what: str) -> None:
    try:
        ip_address(text)
    except ValueError as error:
        raise InvalidSpecError(f"The {what} {text[:80]!r} is no IP address.") from error
    if "%" in text:
        raise InvalidSpecError(f"The {what} {text[:80]!r} has a zone.")


def _network(text: str, what: str) -> None:
    try:
        ip_interface(text)
    except ValueError as error:
        raise InvalidSpecError(f"The {what} {text[:80]!r} is no address with a prefix length.") from error
    _address(text.partition("/")[0], what)


def _between(value: int, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise InvalidSpecError(f"The {what} is {least} to {most}, not {value}.")


def _interface(interface: Interface) -> None:
    if not _INTERFACE.fullmatch(interface.name):
        raise InvalidSpecError(f"{interface.name!r} is no interface of an amphora: eth0, eth1, ...")
    if not _MAC.fullmatch(interface.mac):
        raise InvalidSpecError(f"{interface.mac!r} is no MAC address.")
    _between(interface.mtu, 68, 65535, "MTU")
    for address in interface.addresses:
        _network(address.address, "interface address")
    for route in interface.routes:
        _network(route.destination, "route")
        _address(route.nexthop, "next hop")
    if interface.gateway is not None:
        _address(interface.gateway, "gateway")


def _listener(listener: ListenerSpec, pools: set[str]) -> None:
    checked_id(listener.id, "listener id")
    if listener.protocol not in LISTENERS:
        raise InvalidSpecError(f"This agent makes no {listener.protocol} listeners ({listener.id}).")
    _between(listener.port, 1, 65535, "listener port")
    if listener.default_pool_id is not None and listener.default_pool_id not in pools:
        raise InvalidSpecError(
            f"Listener {listener.id} uses pool {listener.default_pool_id}, which is not in the spec."
        )
    for cidr in listener.allowed_cidrs:
        try:
            ip_network(cidr, strict=False)
        except ValueError as error:
            raise InvalidSpecError(f"{cidr[:80]!r} is no CIDR.") from error
        _address(cidr.partition("/")[0], "CIDR")
    for value in (
        listener.timeout_client_data,
        listener.timeout_member_connect,
        listener.timeout_member_data,
        listener.timeout_tcp_inspect,
    ):
        _between(value, 0, _LONGEST, f"timeout of listener {listener.id}")
    if listener.policies and listener.protocol is not ListenerProtocol.HTTP:
        raise InvalidSpecError(f"L7 policies are for HTTP, not for the {listener.protocol} of listener {listener.id}.")
    for policy in listener.policies:
        _policy(policy, pools)


def _policy(policy: PolicySpec, pools: set[str]) -> None:
    checked_id(policy.id, "L7 policy id")
    _between(len(policy.rules), 1, MOST_RULES, f"number of rules of L7 policy {policy.id}")
    if policy.action is Action.REDIRECT_TO_POOL and policy.pool_id not in pools:
        raise InvalidSpecError(f"L7 policy {policy.id} uses pool {policy.pool_id}, which is not in the spec.")
    if policy.action in (Action.REDIRECT_TO_URL, Action.REDIRECT_PREFIX):
        if not _URL.fullmatch(policy.url or ""):
            raise InvalidSpecError(f"{(policy.url or '')[:80]!r} is no URL to redirect to (L7 policy {policy.id}).")
        if policy.code not in REDIRECT_CODES:
            raise InvalidSpecError(f"{policy.code} is no status of a redirect (L7 policy {policy.id}).")
    for rule in policy.rules:
        _rule(rule, policy.id)


def _rule(rule: RuleSpec, policy_id: str) -> None:
    key = _KEYS.get(rule.type)
    if key is not None and not key.fullmatch(rule.key or ""):
        raise InvalidSpecError(f"{(rule.key or '')[:80]!r} is no key of a {rule.type} rule (L7 policy {policy_id}).")
    value = _DIGITS if rule.type is RuleType.SSL_VERIFY_RESULT else _RULE_VALUE
    if not value.fullmatch(rule.value):
        raise InvalidSpecError(f"{rule.value[:80]!r} is no value of a {rule.type} rule (L7 policy {policy_id}).")


def _pool(pool: PoolSpec) -> None:
    checked_id(pool.id, "pool id")
    if pool.protocol not in POOLS:
        raise InvalidSpecError(f"This agent makes no {pool.protocol} pools ({pool.id}).")
    if pool.algorithm not in ALGORITHMS:
        raise InvalidSpecError(f"This agent has no algorithm {pool.algorithm} (pool {pool.id}).")
    persistence = pool.persistence
    if persistence is not None and persistence.type is PersistenceType.APP_COOKIE:
        name = persistence.cookie_name or ""
        if not _TOKEN.fullmatch(name):
            raise InvalidSpecError(f"{name[:80]!r} is no cookie name (pool {pool.id}).")
    for member in pool.members:
        _member(member)
    _unique("member", (member.id for member in pool.members))
    if pool.monitor is not None:
        _monitor(pool.monitor, pool.id)


def _member(member: MemberSpec) -> None:
    checked_id(member.id, "member id")
    _address(member.address, "member address")
    _between(member.port, 1, 65535, "member port")
    _between(member.weight, 0, 256, "weight of a member")
    if member.monitor_address is not None:
        _address(member.monitor_address, "monitor address")
    if member.monitor_port is not None:
        _between(member.monitor_port, 1, 65535, "monitor port")


def _monitor(monitor: MonitorSpec, pool_id: str) -> None:
    if monitor.type not in MONITORS:
        raise InvalidSpecError(f"This agent makes no {monitor.type} health monitors (pool {pool_id}).")
    _between(monitor.delay, 0, _LONGEST // 1000, "delay of a health monitor")
    _between(monitor.timeout, 0, _LONGEST // 1000, "timeout of a health monitor")
    _between(monitor.rise, 1, 50, "number of successes of a health monitor")
    _between(monitor.fall, 1, 50, "number of failures of a health monitor")
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
