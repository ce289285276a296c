"""Choosing the virtual address of a load balancer (contract 10, section 4)."""

from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from livia.core.drivers import Port, Subnet
from livia.core.model.load_balancer import VnicType
from livia.core.rules.verdict import ACCEPT, Refuse, Verdict, invalid

#: in the contract's order of precedence
KINDS = ("vip_port_id", "vip_network_id", "vip_subnet_id")
#: addresses that the VIP and the amphorae need on its subnet
NEEDED = {"SINGLE": 2, "ACTIVE_STANDBY": 3}


def kinds_allowed(values: Mapping[str, Any], allowed: Collection[str]) -> Verdict:
    """`allowed`: the kinds of `KINDS` that this deployment permits."""
    for kind in KINDS:
        if values.get(kind) and kind not in allowed:
            return invalid(f"use of {kind} is disallowed by this deployment's configuration.")
    if not any(values.get(kind) for kind in KINDS):
        return invalid(f"VIP must contain one of: {', '.join(kind for kind in KINDS if kind in allowed)}.")
    return ACCEPT


def address_of_port(port: Port, subnet_id: str | None, address: str | None) -> tuple[str | None, str] | Refuse:
    """(subnet id, address) of a port that the user brings.

    A port without any address gets the asked one when the subnet is named too.
    """
    if address is not None:
        if subnet_id is not None and not port.fixed_ips:
            return subnet_id, address
        wanted = ip_address(address)
        for fixed in port.fixed_ips:
            if ip_address(fixed.ip_address) == wanted:
                return fixed.subnet_id, fixed.ip_address
        return invalid("Specified VIP address not found on the specified VIP port.")
    if subnet_id is not None:
        for fixed in port.fixed_ips:
            if fixed.subnet_id == subnet_id:
                return fixed.subnet_id, fixed.ip_address
        return invalid("No VIP address found on the specified VIP port within the specified subnet.")
    if len(port.fixed_ips) == 1:
        return port.fixed_ips[0].subnet_id, port.fixed_ips[0].ip_address
    return invalid("VIP port's subnet could not be determined. Please specify either a VIP subnet or address.")


def subnet_of_network(subnets: Sequence[Subnet], address: str | None, topology: str) -> str | Refuse:
    """The id of the subnet of a network that the VIP goes to; IPv4 before IPv6, and large enough."""
    if address is not None:
        wanted = ip_address(address)
        for subnet in subnets:
            if wanted in ip_network(subnet.cidr):
                return subnet.id
        return invalid("Supplied network does not contain a subnet for VIP address specified.")
    if not subnets:
        return invalid("Supplied network does not contain a subnet.")
    for subnet in sorted(subnets, key=lambda subnet: ip_network(subnet.cidr).version):
        if subnet.free >= NEEDED[topology]:
            return subnet.id
    return invalid("Subnet(s) in the supplied network do not contain enough available IPs.")


def network_allowed(network_id: str, valid: Collection[str], denied: Collection[str]) -> Verdict:
    """The operator's lists of networks for VIPs; an empty `valid` allows all."""
    if (valid and network_id not in valid) or network_id in denied:
        return invalid("Supplied VIP network_id is not allowed by the configuration of this deployment.")
    return ACCEPT


def security_groups_fit(vnic_type: str, security_groups: Collection[str]) -> Verdict:
    """A virtual function of a network card has none."""
    if security_groups and vnic_type == VnicType.DIRECT:
        return invalid("VIP Security Groups are not allowed with VNIC direct type.")
    return ACCEPT


def additional_subnets_fit(primary: str | None, additional: Sequence[str]) -> Verdict:
    """One address a subnet, the primary's included."""
    taken = [subnet for subnet in (primary, *additional) if subnet is not None]
    if len(set(taken)) != len(taken):
        return invalid("Duplicate VIP subnet(s) specified.")
    return ACCEPT
