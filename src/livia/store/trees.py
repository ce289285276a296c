"""Read a whole load balancer: one indexed select per table, and the one conversion from SQL to the model."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace
from sqlalchemy import BindParameter, Connection, Executable, RowMapping, bindparam, select

from livia.core.model.amphora import Amphora, Role
from livia.core.model.l7 import Action, CompareType, L7Policy, L7Rule, RuleType
from livia.core.model.listener import ClientAuthentication, Listener, ListenerProtocol
from livia.core.model.load_balancer import AdditionalVip, LoadBalancer, Topology, Vip
from livia.core.model.pool import (
    Algorithm,
    HealthMonitor,
    Member,
    MonitorType,
    PersistenceType,
    Pool,
    PoolProtocol,
    SessionPersistence,
)
from livia.core.model.status import AmphoraStatus, Operating, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.store import tables as t

_T = TypeVar("_T")

#: faster than calling the enums
_PROVISIONING = {str(status): status for status in Provisioning}
_OPERATING = {str(status): status for status in Operating}

_ID: BindParameter[str] = bindparam("load_balancer_id")

_LOAD_BALANCER = (
    select(t.load_balancer, *(column for column in t.vip.c if column.name != "load_balancer_id"))
    .join_from(t.load_balancer, t.vip, t.vip.c.load_balancer_id == t.load_balancer.c.id)
    .where(t.load_balancer.c.id == _ID)
)
_ADDITIONAL_VIPS = (
    select(t.additional_vip).where(t.additional_vip.c.load_balancer_id == _ID).order_by(t.additional_vip.c.subnet_id)
)
_LISTENERS = (
    select(t.listener)
    .where(t.listener.c.load_balancer_id == _ID)
    .order_by(t.listener.c.created_at, t.listener.c.ordinal, t.listener.c.id)
)
_CIDRS = (
    select(t.listener_cidr)
    .join_from(t.listener_cidr, t.listener, t.listener.c.id == t.listener_cidr.c.listener_id)
    .where(t.listener.c.load_balancer_id == _ID)
)
_SNI = (
    select(t.sni)
    .join_from(t.sni, t.listener, t.listener.c.id == t.sni.c.listener_id)
    .where(t.listener.c.load_balancer_id == _ID)
    .order_by(t.sni.c.position, t.sni.c.tls_container_id)
)
_POOLS = (
    select(
        t.pool,
        t.session_persistence.c.type.label("persistence_type"),
        t.session_persistence.c.cookie_name,
        t.session_persistence.c.persistence_timeout,
        t.session_persistence.c.persistence_granularity,
    )
    .join_from(t.pool, t.session_persistence, t.session_persistence.c.pool_id == t.pool.c.id, isouter=True)
    .where(t.pool.c.load_balancer_id == _ID)
    .order_by(t.pool.c.created_at, t.pool.c.ordinal, t.pool.c.id)
)
#: of nothing there are as many as of members: no column is read that nobody uses
_MEMBER_COLUMNS = (
    "id",
    "pool_id",
    "project_id",
    "name",
    "enabled",
    "provisioning_status",
    "operating_status",
    "ip_address",
    "protocol_port",
    "weight",
    "backup",
    "subnet_id",
    "monitor_address",
    "monitor_port",
    "generation",
)
_MEMBERS = (
    select(*(t.member.c[name] for name in _MEMBER_COLUMNS))
    .where(t.member.c.load_balancer_id == _ID)
    .order_by(t.member.c.created_at, t.member.c.ordinal, t.member.c.id)
)
_MONITORS = select(t.health_monitor).where(t.health_monitor.c.load_balancer_id == _ID)
_L7_POLICIES = (
    select(t.l7policy)
    .where(t.l7policy.c.load_balancer_id == _ID)
    .order_by(t.l7policy.c.listener_id, t.l7policy.c.position, t.l7policy.c.id)
)
_L7_RULES = (
    select(t.l7rule)
    .where(t.l7rule.c.load_balancer_id == _ID)
    .order_by(t.l7rule.c.created_at, t.l7rule.c.ordinal, t.l7rule.c.id)
)
_AMPHORAE = (
    select(t.amphora, t.amphora_host.c.draining.label("host_draining"))
    .join_from(t.amphora, t.amphora_host, t.amphora_host.c.id == t.amphora.c.compute_id, isouter=True)
    .where(t.amphora.c.load_balancer_id == _ID, t.amphora.c.status != AmphoraStatus.DELETED)
    .order_by(t.amphora.c.created_at, t.amphora.c.id)
)


def load(connection: Connection, load_balancer_id: str) -> LoadBalancerTree | None:
    """The load balancer with all that belongs to it; None when it is unknown or DELETED."""
    key = {"load_balancer_id": load_balancer_id}
    row = connection.execute(_LOAD_BALANCER, key).mappings().one_or_none()
    if row is None or row["provisioning_status"] == Provisioning.DELETED:
        return None

    def rows(query: Executable) -> Sequence[RowMapping]:
        return connection.execute(query, key).mappings().all()

    listeners, pools = rows(_LISTENERS), rows(_POOLS)
    # What belongs to listeners or pools is not asked for where there are none.
    of_listener: Callable[[Executable], Sequence[RowMapping]] = rows if listeners else _none
    cidrs = _grouped(of_listener(_CIDRS), "listener_id", lambda each: str(each["cidr"]))
    sni = _grouped(of_listener(_SNI), "listener_id", lambda each: str(each["tls_container_id"]))
    members = _members(connection, key) if pools else defaultdict(list)
    monitors = {each["pool_id"]: _monitor(each) for each in (rows(_MONITORS) if pools else ())}
    found = of_listener(_L7_POLICIES)
    rules = _grouped(rows(_L7_RULES) if found else (), "l7policy_id", _l7rule)
    policies = _grouped(found, "listener_id", lambda each: _l7policy(each, tuple(rules[each["id"]])))
    return LoadBalancerTree(
        load_balancer=_load_balancer(row, rows(_ADDITIONAL_VIPS)),
        listeners=tuple(
            _listener(each, tuple(sorted(cidrs[each["id"]])), tuple(sni[each["id"]]), tuple(policies[each["id"]]))
            for each in listeners
        ),
        pools=tuple(_pool(each, tuple(members[each["id"]]), monitors.get(each["id"])) for each in pools),
        amphorae=tuple(amphora_of(each) for each in rows(_AMPHORAE)),
    )


def _none(_query: Executable) -> Sequence[RowMapping]:
    return ()


def _grouped(rows: Iterable[RowMapping], parent: str, read: Callable[[RowMapping], _T]) -> defaultdict[str, list[_T]]:
    """What each parent has, in order."""
    groups: defaultdict[str, list[_T]] = defaultdict(list)
    for row in rows:
        groups[row[parent]].append(read(row))
    return groups


def look_again(connection: Connection, tree: LoadBalancerTree) -> LoadBalancerTree | None:
    """The tree as it is by now, read whole only if it has another generation: none of its listeners and pools changes
    without. Their statuses, and deleted ones that a confirmation removed, may then be as they were."""
    key = {"load_balancer_id": tree.load_balancer.id}
    row = connection.execute(_LOAD_BALANCER, key).mappings().one_or_none()
    if row is None or row["generation"] != tree.load_balancer.generation:
        return load(connection, tree.load_balancer.id)
    if row["provisioning_status"] == Provisioning.DELETED:
        return None
    return replace(
        tree,
        load_balancer=replace(_load_balancer(row, ()), additional_vips=tree.load_balancer.additional_vips),
        amphorae=tuple(amphora_of(each) for each in connection.execute(_AMPHORAE, key).mappings()),
    )


def _load_balancer(row: RowMapping, additional: Sequence[RowMapping]) -> LoadBalancer:
    return LoadBalancer(
        id=row["id"],
        project_id=row["project_id"] or "",
        name=row["name"] or "",
        description=row["description"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        topology=Topology(row["topology"] or Topology.SINGLE),
        provider=row["provider"] or "amphora",
        flavor_id=row["flavor_id"],
        availability_zone=row["availability_zone"],
        vip=Vip(
            address=row["ip_address"],
            port_id=row["port_id"],
            subnet_id=row["subnet_id"],
            network_id=row["network_id"],
            qos_policy_id=row["qos_policy_id"],
            owned=row["octavia_owned"] is not False,
            vnic_type=row["vnic_type"],
        ),
        additional_vips=tuple(
            AdditionalVip(
                subnet_id=each["subnet_id"],
                ip_address=each["ip_address"],
                network_id=each["network_id"],
                port_id=each["port_id"],
            )
            for each in additional
        ),
        generation=row["generation"],
        confirmed_generation=row["confirmed_generation"],
    )


def _listener(
    row: RowMapping, cidrs: tuple[str, ...], sni: tuple[str, ...], policies: tuple[L7Policy, ...]
) -> Listener:
    return Listener(
        id=row["id"],
        load_balancer_id=row["load_balancer_id"],
        project_id=row["project_id"] or "",
        name=row["name"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        protocol=ListenerProtocol(row["protocol"]),
        protocol_port=row["protocol_port"],
        connection_limit=-1 if row["connection_limit"] is None else row["connection_limit"],
        default_pool_id=row["default_pool_id"],
        insert_headers=json.loads(row["insert_headers"]) if row["insert_headers"] else {},
        timeout_client_data=_or(row["timeout_client_data"], 50000),
        timeout_member_connect=_or(row["timeout_member_connect"], 5000),
        timeout_member_data=_or(row["timeout_member_data"], 50000),
        timeout_tcp_inspect=_or(row["timeout_tcp_inspect"], 0),
        allowed_cidrs=cidrs,
        default_tls_container_ref=row["tls_certificate_id"],
        sni_container_refs=sni,
        client_authentication=ClientAuthentication(row["client_authentication"]),
        client_ca_tls_container_ref=row["client_ca_tls_certificate_id"],
        client_crl_container_ref=row["client_crl_container_id"],
        tls_ciphers=row["tls_ciphers"],
        tls_versions=_words(row["tls_versions"]),
        alpn_protocols=_words(row["alpn_protocols"]),
        hsts_max_age=row["hsts_max_age"],
        hsts_include_subdomains=bool(row["hsts_include_subdomains"]),
        hsts_preload=bool(row["hsts_preload"]),
        l7policies=policies,
        generation=row["generation"],
    )


def _l7policy(row: RowMapping, rules: tuple[L7Rule, ...]) -> L7Policy:
    return L7Policy(
        id=row["id"],
        listener_id=row["listener_id"],
        project_id=row["project_id"] or "",
        name=row["name"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        action=Action(row["action"]),
        redirect_pool_id=row["redirect_pool_id"],
        redirect_url=row["redirect_url"],
        redirect_prefix=row["redirect_prefix"],
        redirect_http_code=row["redirect_http_code"],
        position=row["position"],
        generation=row["generation"],
        rules=rules,
    )


def _l7rule(row: RowMapping) -> L7Rule:
    return L7Rule(
        id=row["id"],
        l7policy_id=row["l7policy_id"],
        project_id=row["project_id"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        type=RuleType(row["type"]),
        compare_type=CompareType(row["compare_type"]),
        key=row["key"],
        value=row["value"],
        invert=row["invert"],
        generation=row["generation"],
    )


def _pool(row: RowMapping, members: tuple[Member, ...], monitor: HealthMonitor | None) -> Pool:
    persistence = None
    if row["persistence_type"] is not None:
        persistence = SessionPersistence(
            type=PersistenceType(row["persistence_type"]),
            cookie_name=row["cookie_name"],
            persistence_timeout=row["persistence_timeout"],
            persistence_granularity=row["persistence_granularity"],
        )
    return Pool(
        id=row["id"],
        load_balancer_id=row["load_balancer_id"],
        project_id=row["project_id"] or "",
        name=row["name"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        protocol=PoolProtocol(row["protocol"]),
        lb_algorithm=Algorithm(row["lb_algorithm"]),
        session_persistence=persistence,
        tls_enabled=row["tls_enabled"],
        tls_container_ref=row["tls_certificate_id"],
        ca_tls_container_ref=row["ca_tls_certificate_id"],
        crl_container_ref=row["crl_container_id"],
        tls_ciphers=row["tls_ciphers"],
        tls_versions=_words(row["tls_versions"]),
        alpn_protocols=_words(row["alpn_protocols"]),
        generation=row["generation"],
        members=members,
        healthmonitor=monitor,
    )


def _members(connection: Connection, key: Mapping[str, str]) -> defaultdict[str, list[Member]]:
    """The members of each pool, in order. Rows are taken apart by place, which is half the cost of names."""
    members: defaultdict[str, list[Member]] = defaultdict(list)
    for (
        member_id,
        pool_id,
        project_id,
        name,
        enabled,
        provisioning_status,
        operating_status,
        address,
        port,
        weight,
        backup,
        subnet_id,
        monitor_address,
        monitor_port,
        generation,
    ) in connection.execute(_MEMBERS, key):
        members[pool_id].append(
            Member(
                id=member_id,
                pool_id=pool_id,
                project_id=project_id or "",
                name=name or "",
                admin_state_up=enabled,
                provisioning_status=_PROVISIONING[provisioning_status],
                operating_status=_OPERATING[operating_status],
                address=address,
                protocol_port=port,
                weight=1 if weight is None else weight,
                backup=backup,
                subnet_id=subnet_id,
                monitor_address=monitor_address,
                monitor_port=monitor_port,
                generation=generation,
            )
        )
    return members


def _monitor(row: RowMapping) -> HealthMonitor:
    return HealthMonitor(
        id=row["id"],
        pool_id=row["pool_id"],
        project_id=row["project_id"] or "",
        name=row["name"] or "",
        admin_state_up=row["enabled"],
        provisioning_status=Provisioning(row["provisioning_status"]),
        operating_status=Operating(row["operating_status"]),
        type=MonitorType(row["type"]),
        delay=row["delay"],
        timeout=row["timeout"],
        max_retries=row["rise_threshold"],
        max_retries_down=row["fall_threshold"],
        http_method=row["http_method"],
        url_path=row["url_path"],
        expected_codes=row["expected_codes"],
        # MySQL's float is a binary one: 1.1 comes back as 1.100000023841858 (contract 98, section 5).
        http_version=None if row["http_version"] is None else round(row["http_version"], 1),
        domain_name=row["domain_name"],
        generation=row["generation"],
    )


def amphora_of(row: RowMapping) -> Amphora:
    """An amphora row as the model has it."""
    return Amphora(
        id=row["id"],
        load_balancer_id=row["load_balancer_id"],
        role=Role(row["role"] or Role.STANDALONE),
        status=AmphoraStatus(row["status"]),
        compute_id=row["compute_id"],
        lb_network_ip=row["lb_network_ip"],
        agent_port=row["agent_port"],
        vrrp_ip=row["vrrp_ip"],
        vrrp_port_id=row["vrrp_port_id"],
        vrrp_priority=row["vrrp_priority"],
        applied_generation=row["applied_generation"],
        holds_vip=row["holds_vip"],
        replace_requested=row["replace_requested"],
        host_draining=bool(row.get("host_draining")),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _words(stored: str | None) -> tuple[str, ...]:
    """A list as contract 98, section 5, keeps it: joined by commas, null when not set."""
    return tuple(stored.split(",")) if stored else ()
