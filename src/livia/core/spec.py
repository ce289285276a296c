"""The amphora spec: all that one amphora shall do, typed and versioned (design, section 1).

The worker builds it from the model (`build`), the agent makes it so. It travels as JSON inside an
`Assignment`; equal specs have equal digests, whatever their generation and fence.
"""

import hashlib
from ipaddress import ip_address, ip_network

import msgspec
from msgspec import Struct

from livia.core.model.amphora import Amphora, Role
from livia.core.model.l7 import DEFAULT_REDIRECT_CODE, Action, CompareType, L7Policy, L7Rule, RuleType
from livia.core.model.listener import Listener, ListenerProtocol
from livia.core.model.pool import (
    Algorithm,
    HealthMonitor,
    Member,
    MonitorType,
    PersistenceType,
    Pool,
    PoolProtocol,
)
from livia.core.model.status import Provisioning
from livia.core.model.tree import LoadBalancerTree

SPEC_VERSION = 1

#: VRRP priorities near 255 make the skew time, and so the silence, short: skew = (256 - priority) / 256 of an
#: advert interval (RFC 5798, section 6.1).
PRIORITY = {Role.MASTER: 254, Role.BACKUP: 250, Role.STANDALONE: 254}


class Route(Struct, frozen=True, kw_only=True):
    destination: str
    nexthop: str


class InterfaceAddress(Struct, frozen=True, kw_only=True):
    """`address` with its prefix length, e.g. 10.0.0.5/24."""

    address: str


class Interface(Struct, frozen=True, kw_only=True):
    """One network interface of the amphora, plugged into the segment of `network_id` on its host."""

    name: str
    mac: str
    mtu: int
    network_id: str
    port_id: str
    addresses: tuple[InterfaceAddress, ...]
    gateway: str | None = None
    routes: tuple[Route, ...] = ()


class VipAddress(Struct, frozen=True, kw_only=True):
    """A virtual address, on interface `interface`, held as a host address (/32 or /128)."""

    address: str
    interface: str


class Vrrp(Struct, frozen=True, kw_only=True):
    """VRRP version 3, unicast (RFC 5798). `advert_interval` in seconds."""

    instance: str
    interface: str
    router_id: int
    priority: int
    advert_interval: float
    source: str
    peers: tuple[str, ...]


class Peer(Struct, frozen=True, kw_only=True):
    """A HAProxy peer: the amphora's name in the peers section, and the address it listens on."""

    amphora_id: str
    address: str
    port: int = 1025


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


class PoolSpec(Struct, frozen=True, kw_only=True):
    """A pool as one listener uses it: timeouts are that listener's."""

    id: str
    protocol: PoolProtocol
    algorithm: Algorithm
    persistence: PersistenceSpec | None = None
    monitor: MonitorSpec | None = None
    members: tuple[MemberSpec, ...] = ()


class RuleSpec(Struct, frozen=True, kw_only=True):
    """A condition. `key`: the header, cookie or field of the certificate's subject that it looks at."""

    type: RuleType
    compare_type: CompareType
    key: str | None = None
    value: str
    invert: bool = False


class PolicySpec(Struct, frozen=True, kw_only=True):
    """What becomes of a request that meets all `rules`, of which there is at least one.

    REDIRECT_TO_POOL has `pool_id`, the redirects `url` (as it is, or as a prefix) and `code`.
    """

    id: str
    action: Action
    rules: tuple[RuleSpec, ...]
    pool_id: str | None = None
    url: str | None = None
    code: int = DEFAULT_REDIRECT_CODE


class ListenerSpec(Struct, frozen=True, kw_only=True):
    """Timeouts in milliseconds. `connection_limit` -1: no limit of its own."""

    id: str
    protocol: ListenerProtocol
    port: int
    connection_limit: int
    default_pool_id: str | None
    insert_headers: tuple[str, ...]
    allowed_cidrs: tuple[str, ...]
    timeout_client_data: int
    timeout_member_connect: int
    timeout_member_data: int
    timeout_tcp_inspect: int
    #: in the order of their positions
    policies: tuple[PolicySpec, ...] = ()

    def pool_ids(self) -> tuple[str, ...]:
        """The pools that it sends traffic to, each once."""
        named = (self.default_pool_id, *(policy.pool_id for policy in self.policies))
        return tuple(dict.fromkeys(each for each in named if each is not None))


class Spec(Struct, frozen=True, kw_only=True):
    """Complete: what is not in it is not there. Disabled and deleted objects are left out."""

    version: int = SPEC_VERSION
    amphora_id: str
    load_balancer_id: str
    project_id: str
    interfaces: tuple[Interface, ...]
    vips: tuple[VipAddress, ...]
    vrrp: Vrrp | None = None
    peers: tuple[Peer, ...] = ()
    listeners: tuple[ListenerSpec, ...] = ()
    pools: tuple[PoolSpec, ...] = ()


class Assignment(Struct, frozen=True, kw_only=True):
    """Body of `PUT /v1/amphorae/{id}`. The agent refuses a fence lower than one it has seen."""

    fence: int
    generation: int
    spec: Spec


def digest(spec: Spec) -> str:
    """SHA-256 of the spec's canonical JSON, 64 hex characters."""
    return hashlib.sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()


class Plug(Struct, frozen=True, kw_only=True):
    """A network port as the network driver describes it, ready to become an interface."""

    port_id: str
    network_id: str
    mac: str
    mtu: int
    #: address and prefix length of each fixed IP, e.g. 10.0.0.5/24
    addresses: tuple[str, ...]
    gateway: str | None = None
    routes: tuple[Route, ...] = ()


def build(tree: LoadBalancerTree, amphora: Amphora, plugs: tuple[Plug, ...], advert_interval: float) -> Spec:
    """The spec of `amphora`. `plugs[0]` is its port on the VIP network, further ones reach members."""
    load_balancer = tree.load_balancer
    interfaces = tuple(_interface(f"eth{index}", plug) for index, plug in enumerate(plugs))
    others = tuple(other for other in tree.amphorae if other.id != amphora.id and other.vrrp_ip)
    pair = amphora.role is not Role.STANDALONE
    listeners = tuple(
        _listener(listener, tree) for listener in tree.listeners if _wanted(listener) and load_balancer.admin_state_up
    )
    used = {pool_id for listener in listeners for pool_id in listener.pool_ids()}
    return Spec(
        amphora_id=amphora.id,
        load_balancer_id=load_balancer.id,
        project_id=load_balancer.project_id,
        interfaces=interfaces,
        vips=tuple(
            VipAddress(address=address, interface="eth0")
            for address in (
                load_balancer.vip.address,
                *(vip.ip_address for vip in load_balancer.additional_vips),
            )
        ),
        vrrp=_vrrp(load_balancer.id, amphora, others, advert_interval) if pair else None,
        peers=tuple(
            Peer(amphora_id=each.id, address=each.vrrp_ip)
            for each in sorted(tree.amphorae, key=lambda each: each.id)
            if each.vrrp_ip
        )
        if pair
        else (),
        listeners=listeners,
        pools=tuple(_pool(pool) for pool in tree.pools if pool.id in used),
    )


def _wanted(item: Listener | Pool | Member | HealthMonitor | L7Policy | L7Rule) -> bool:
    return item.admin_state_up and item.provisioning_status is not Provisioning.PENDING_DELETE


def _interface(name: str, plug: Plug) -> Interface:
    return Interface(
        name=name,
        mac=plug.mac,
        mtu=plug.mtu,
        network_id=plug.network_id,
        port_id=plug.port_id,
        addresses=tuple(InterfaceAddress(address=address) for address in plug.addresses),
        gateway=plug.gateway,
        routes=plug.routes,
    )


def _vrrp(load_balancer_id: str, amphora: Amphora, others: tuple[Amphora, ...], advert_interval: float) -> Vrrp | None:
    if amphora.vrrp_ip is None:
        return None
    return Vrrp(
        instance=load_balancer_id.replace("-", ""),
        interface="eth0",
        router_id=1,
        priority=amphora.vrrp_priority or PRIORITY[amphora.role],
        advert_interval=advert_interval,
        source=amphora.vrrp_ip,
        peers=tuple(sorted(other.vrrp_ip for other in others if other.vrrp_ip)),
    )


def _listener(listener: Listener, tree: LoadBalancerTree) -> ListenerSpec:
    return ListenerSpec(
        id=listener.id,
        protocol=listener.protocol,
        port=listener.protocol_port,
        connection_limit=listener.connection_limit,
        default_pool_id=_pool_id(listener.default_pool_id, tree),
        insert_headers=tuple(sorted(n for n, value in listener.insert_headers.items() if value.lower() == "true")),
        allowed_cidrs=tuple(sorted(listener.allowed_cidrs)),
        timeout_client_data=listener.timeout_client_data,
        timeout_member_connect=listener.timeout_member_connect,
        timeout_member_data=listener.timeout_member_data,
        timeout_tcp_inspect=listener.timeout_tcp_inspect,
        policies=tuple(policy for each in listener.l7policies if (policy := _policy(each, tree)) is not None),
    )


def _pool_id(pool_id: str | None, tree: LoadBalancerTree) -> str | None:
    """The pool's id if it can have traffic."""
    pool = tree.pool(pool_id)
    return pool.id if pool is not None and _wanted(pool) else None


def _policy(policy: L7Policy, tree: LoadBalancerTree) -> PolicySpec | None:
    """None for a policy that is ignored: disabled, without an enabled rule, or for a pool that is (contract 50, 3)."""
    rules = tuple(_rule(rule) for rule in policy.rules if _wanted(rule))
    pool_id = _pool_id(policy.redirect_pool_id, tree)
    if not _wanted(policy) or not rules or (policy.action is Action.REDIRECT_TO_POOL and pool_id is None):
        return None
    return PolicySpec(
        id=policy.id,
        action=policy.action,
        rules=rules,
        pool_id=pool_id,
        url=policy.redirect_url or policy.redirect_prefix,
        code=policy.redirect_http_code or DEFAULT_REDIRECT_CODE,
    )


def _rule(rule: L7Rule) -> RuleSpec:
    value = rule.value
    if rule.compare_type is not CompareType.REGEX and len(value) > 2 and value[0] == value[-1] == '"':
        # The quotes only keep a text with spaces together (contract 50, sections 2.3 and 3).
        value = value[1:-1]
    return RuleSpec(type=rule.type, compare_type=rule.compare_type, key=rule.key, value=value, invert=rule.invert)


def _pool(pool: Pool) -> PoolSpec:
    monitor = pool.healthmonitor
    persistence = pool.session_persistence
    return PoolSpec(
        id=pool.id,
        protocol=pool.protocol,
        algorithm=pool.lb_algorithm,
        persistence=PersistenceSpec(type=persistence.type, cookie_name=persistence.cookie_name)
        if persistence
        else None,
        monitor=_monitor(monitor) if monitor is not None and _wanted(monitor) else None,
        members=tuple(
            _member(member)
            for member in sorted(pool.members, key=lambda member: member.id)
            if member.provisioning_status is not Provisioning.PENDING_DELETE
        ),
    )


def _member(member: Member) -> MemberSpec:
    return MemberSpec(
        id=member.id,
        address=str(ip_address(member.address)),
        port=member.protocol_port,
        weight=member.weight,
        backup=member.backup,
        enabled=member.admin_state_up,
        monitor_address=str(ip_address(member.monitor_address)) if member.monitor_address else None,
        monitor_port=member.monitor_port,
    )


def _monitor(monitor: HealthMonitor) -> MonitorSpec:
    return MonitorSpec(
        type=monitor.type,
        delay=monitor.delay,
        timeout=monitor.timeout,
        rise=monitor.max_retries,
        fall=monitor.max_retries_down,
        http_method=monitor.http_method,
        url_path=monitor.url_path,
        expected_codes=monitor.expected_codes,
        http_version=monitor.http_version,
        domain_name=monitor.domain_name,
    )


def prefix_length(cidr: str) -> int:
    """Prefix length of a CIDR such as 10.0.0.0/24."""
    return ip_network(cidr, strict=False).prefixlen
