"""Rows as the model has them: the one conversion from SQL."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping

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

#: faster than calling the enums
_PROVISIONING = {str(status): status for status in Provisioning}
_OPERATING = {str(status): status for status in Operating}

# No column is read that nobody uses.
LOAD_BALANCER_COLUMNS = (
    "id",
    "project_id",
    "name",
    "description",
    "enabled",
    "provisioning_status",
    "operating_status",
    "topology",
    "provider",
    "flavor_id",
    "availability_zone",
    "generation",
    "confirmed_generation",
)
VIP_COLUMNS = ("ip_address", "port_id", "subnet_id", "network_id", "qos_policy_id", "octavia_owned", "vnic_type")
AMPHORA_COLUMNS = (
    "id",
    "load_balancer_id",
    "role",
    "status",
    "compute_id",
    "lb_network_ip",
    "agent_port",
    "vrrp_ip",
    "vrrp_port_id",
    "vrrp_priority",
    "applied_generation",
    "holds_vip",
    "replace_requested",
)
#: beside an amphora's own columns, where its host is known
DRAINING = "host_draining"
#: there are as many of nothing as of members
MEMBER_COLUMNS = (
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


def load_balancer(row: RowMapping, additional: Sequence[RowMapping]) -> LoadBalancer:
    """From a row of load balancers with their VIPs, and the rows of its additional ones."""
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


def listener(row: RowMapping, cidrs: tuple[str, ...], sni: tuple[str, ...], policies: tuple[L7Policy, ...]) -> Listener:
    """From a row of listeners, and what belongs to it."""
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


def l7policy(row: RowMapping, rules: tuple[L7Rule, ...]) -> L7Policy:
    """From a row of L7 policies, with its rules."""
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


def l7rule(row: RowMapping) -> L7Rule:
    """From a row of L7 rules."""
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


def pool(row: RowMapping, members: tuple[Member, ...], monitor: HealthMonitor | None) -> Pool:
    """From a row of pools with their session persistence."""
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


def members(found: Iterable[Sequence[Any]]) -> defaultdict[str, list[Member]]:
    """Of each pool, in the order of rows of `MEMBER_COLUMNS`, which are taken apart by place: names cost twice that."""
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
    ) in found:
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


def monitor(row: RowMapping) -> HealthMonitor:
    """From a row of health monitors."""
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


def amphora(row: RowMapping | Mapping[str, Any]) -> Amphora:
    """From a row of amphorae, with `DRAINING` or without."""
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
        host_draining=bool(row.get(DRAINING)),
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _words(stored: str | None) -> tuple[str, ...]:
    """A list as contract 98, section 5, keeps it: joined by commas, null when not set."""
    return tuple(stored.split(",")) if stored else ()
