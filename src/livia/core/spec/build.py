"""The amphora spec, from the model: here and nowhere else."""

import hashlib
from functools import lru_cache
from ipaddress import ip_address

from livia.core.model.amphora import Amphora, Role
from livia.core.model.l7 import DEFAULT_REDIRECT_CODE, Action, CompareType, L7Policy, L7Rule
from livia.core.model.listener import Listener
from livia.core.model.load_balancer import LoadBalancer
from livia.core.model.pool import HealthMonitor, Member, Pool, SessionPersistence
from livia.core.model.status import Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.spec.assignment import Spec
from livia.core.spec.listener import ListenerSpec, PolicySpec, RuleSpec
from livia.core.spec.place import Interface, InterfaceAddress, Peer, Plug, VipAddress, Vrrp
from livia.core.spec.pool import STICK_SIZE, MemberSpec, MonitorSpec, PersistenceSpec, PoolSpec

#: VRRP priorities near 255 make the skew time, and so the silence, short: skew = (256 - priority) / 256 of an
#: advert interval (RFC 5798, section 6.1).
PRIORITY = {Role.MASTER: 254, Role.BACKUP: 250, Role.STANDALONE: 254}


#: addresses whose form is kept: members that a change leaves alone are most of a spec
_REMEMBERED = 16384
#: the interface on the VIP's network
VIP_INTERFACE = "eth0"


def build(
    tree: LoadBalancerTree,
    amphora: Amphora,
    plugs: tuple[Plug, ...],
    advert_interval: float,
    stick_size: str = STICK_SIZE,
) -> Spec:
    """The spec of `amphora`. `plugs[0]` is its port on the VIP network, further ones reach members."""
    load_balancer = tree.load_balancer
    pair = amphora.role is not Role.STANDALONE
    listeners = tuple(
        _listener(listener, tree) for listener in tree.listeners if _wanted(listener) and load_balancer.admin_state_up
    )
    used = {pool_id for listener in listeners for pool_id in listener.pool_ids()}
    return Spec(
        amphora_id=amphora.id,
        load_balancer_id=load_balancer.id,
        project_id=load_balancer.project_id,
        interfaces=tuple(
            _interface(VIP_INTERFACE if index == 0 else _member_interface(plug), plug)
            for index, plug in enumerate(plugs)
        ),
        vips=_vips(load_balancer),
        vrrp=_vrrp(tree, amphora, advert_interval) if pair else None,
        peers=_peers(tree) if pair else (),
        listeners=listeners,
        pools=tuple(_pool(pool) for pool in tree.pools if pool.id in used),
        stick_size=stick_size,
    )


def _wanted(item: Listener | Pool | Member | HealthMonitor | L7Policy | L7Rule) -> bool:
    return item.admin_state_up and item.provisioning_status is not Provisioning.PENDING_DELETE


def _member_interface(plug: Plug) -> str:
    """A name that follows from the port: another subnet's coming or going renames, and so disturbs, no interface."""
    return f"m{hashlib.sha256(plug.port_id.encode()).hexdigest()[:12]}"


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
        limits=plug.limits,
    )


def _vips(load_balancer: LoadBalancer) -> tuple[VipAddress, ...]:
    addresses = (load_balancer.vip.address, *(vip.ip_address for vip in load_balancer.additional_vips))
    return tuple(VipAddress(address=str(ip_address(address)), interface=VIP_INTERFACE) for address in addresses)


def _peers(tree: LoadBalancerTree) -> tuple[Peer, ...]:
    """Those that share stick tables: all amphorae, this one too."""
    return tuple(
        Peer(amphora_id=each.id, address=each.vrrp_ip)
        for each in sorted(tree.amphorae, key=lambda each: each.id)
        if each.vrrp_ip
    )


def _vrrp(tree: LoadBalancerTree, amphora: Amphora, advert_interval: float) -> Vrrp | None:
    if amphora.vrrp_ip is None:
        return None
    return Vrrp(
        instance=tree.load_balancer.id.replace("-", ""),
        interface=VIP_INTERFACE,
        router_id=1,
        priority=amphora.vrrp_priority or PRIORITY[amphora.role],
        advert_interval=advert_interval,
        source=amphora.vrrp_ip,
        peers=tuple(sorted(each.vrrp_ip for each in tree.amphorae if each.id != amphora.id and each.vrrp_ip)),
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
        persistence=_persistence(persistence) if persistence else None,
        monitor=_monitor(monitor) if monitor is not None and _wanted(monitor) else None,
        members=tuple(
            _member(member)
            for member in sorted(pool.members, key=lambda member: member.id)
            if member.provisioning_status is not Provisioning.PENDING_DELETE
        ),
    )


def _persistence(persistence: SessionPersistence) -> PersistenceSpec:
    return PersistenceSpec(
        type=persistence.type,
        cookie_name=persistence.cookie_name,
        timeout=persistence.persistence_timeout,
        granularity=persistence.persistence_granularity,
    )


@lru_cache(maxsize=_REMEMBERED)
def _plain(address: str) -> str:
    """An address in the one form that specs have."""
    return str(ip_address(address))


def _member(member: Member) -> MemberSpec:
    return MemberSpec(
        id=member.id,
        address=_plain(member.address),
        port=member.protocol_port,
        weight=member.weight,
        backup=member.backup,
        enabled=member.admin_state_up,
        monitor_address=_plain(member.monitor_address) if member.monitor_address else None,
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
