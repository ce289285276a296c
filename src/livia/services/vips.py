"""The virtual address of a new load balancer: what the request names, and the port made for it (contract 10, §4).

The network service is asked before the transaction: its answers are part of the response.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from msgspec import Struct

from livia.core.drivers import DriverError, Network, Port, Subnet
from livia.core.rules import vip as rules
from livia.core.rules.capabilities import BUILT_IN_PROVIDERS
from livia.core.rules.offers import provider_error
from livia.core.rules.verdict import Refuse, invalid
from livia.services.context import Context, Deps, Refused, refuse, require
from livia.store.load_balancers import NewVip

log = structlog.get_logger()


class Wanted(Struct, frozen=True, kw_only=True):
    """What the request names, found and checked. `port` is one that the user brings."""

    network: Network
    subnet_id: str | None
    address: str | None
    port: Port | None
    qos_policy_id: str | None


def find(deps: Deps, values: Mapping[str, Any], topology: str) -> Wanted:
    """Look up what the request names. Raises `Refused`."""
    settings = deps.settings
    allowed = [kind for kind in rules.KINDS if getattr(settings, f"allow_{kind}")]
    require(rules.kinds_allowed(values, allowed))
    if values.get("vip_port_id"):
        wanted = _from_port(deps, values)
    elif values.get("vip_network_id"):
        wanted = _from_network(deps, values, topology)
    else:
        subnet = _subnet(deps, values["vip_subnet_id"])
        wanted = Wanted(
            network=_network(deps, subnet.network_id),
            subnet_id=subnet.id,
            address=values.get("vip_address"),
            port=None,
            qos_policy_id=values.get("vip_qos_policy_id"),
        )
    _check_additional_subnets(deps, wanted, values)
    check_qos_policy(deps, values.get("vip_qos_policy_id"))
    check_security_groups(deps, values.get("vip_sg_ids") or ())
    return wanted


def check_qos_policy(deps: Deps, policy_id: str | None) -> None:
    """Raise the 400 of an unknown QoS policy."""
    if policy_id is not None and deps.network.qos_policy(policy_id) is None:
        raise Refused(400, f"qos_policy {policy_id} not found.")


def check_security_groups(deps: Deps, groups: Any) -> None:
    """Raise the 400 of an unknown security group."""
    for group in groups:
        if not deps.network.security_group_exists(group):
            raise Refused(400, f"Security Group {group} not found.")


def check_network(deps: Deps, wanted: Wanted, provider: str, allowed: Sequence[str]) -> None:
    """The operator's lists (`allowed`: empty allows every network), and what the provider needs of the network.

    Raises `Refused`.
    """
    require(rules.network_allowed(wanted.network.id, allowed, deps.settings.denylist_vip_networks))
    if provider in BUILT_IN_PROVIDERS and not wanted.network.port_security:
        raise refuse(provider_error(provider, "Port security must be enabled on the VIP network."))


def _check_additional_subnets(deps: Deps, wanted: Wanted, values: Mapping[str, Any]) -> None:
    subnets = [each["subnet_id"] for each in values["additional_vips"]]
    for subnet_id in subnets:
        subnet = _subnet(deps, subnet_id)
        if subnet.id not in wanted.network.subnet_ids:
            raise refuse(invalid("All VIP subnets must belong to the same network."))
    require(rules.additional_subnets_fit(wanted.subnet_id, subnets))


def book(
    deps: Deps,
    context: Context,
    load_balancer_id: str,
    project_id: str,
    wanted: Wanted,
    values: Mapping[str, Any],
) -> NewVip:
    """Make the VIP's port, or take the user's. Raises `Refused`, or `DriverError` with the far side's own code."""
    asked = [(each["subnet_id"], each["ip_address"]) for each in values["additional_vips"]]
    if wanted.port is not None:
        vip = _on_users_port(wanted, wanted.port, asked, values)
        if not context.dry_run:
            deps.network.claim_vip_port(wanted.port.id, load_balancer_id)
        return vip
    primary = (wanted.subnet_id, wanted.address)
    assert primary[0] is not None  # noqa: S101 - only a user's port can be without a subnet
    fixed_ips = ((primary[0], primary[1]), *asked)
    make = deps.network.preview_vip_port if context.dry_run else deps.network.create_vip_port
    port = make(load_balancer_id, project_id, wanted.network.id, fixed_ips)
    given = {fixed.subnet_id: fixed.ip_address for fixed in port.fixed_ips}
    return NewVip(
        # The asked spelling is kept: clients compare the text.
        address=wanted.address or given[primary[0]],
        port_id=port.id,
        subnet_id=primary[0],
        network_id=wanted.network.id,
        qos_policy_id=wanted.qos_policy_id,
        owned=True,
        additional=tuple((subnet_id, address or given[subnet_id]) for subnet_id, address in asked),
        security_groups=tuple(values["vip_sg_ids"]),
    )


def release(deps: Deps, context: Context, load_balancer_id: str, vip: NewVip) -> None:
    """The load balancer was not stored: nothing of its address may stay."""
    if context.dry_run:
        return
    with suppress(DriverError):
        if vip.owned:
            deps.network.delete_port(vip.port_id)
        else:
            deps.network.release_vip_port(vip.port_id, load_balancer_id)
        return
    log.warning("vip port not released", port=vip.port_id)


def _from_port(deps: Deps, values: Mapping[str, Any]) -> Wanted:
    port = deps.network.port(values["vip_port_id"])
    if port is None:
        raise Refused(400, f"Port {values['vip_port_id']} not found.")
    if port.device_id:
        raise Refused(400, f"Port {port.id} is already used by device {port.device_id}")
    subnet_id = values.get("vip_subnet_id")
    if subnet_id is not None:
        _subnet(deps, subnet_id)
    found = rules.address_of_port(port, subnet_id, values.get("vip_address"))
    if isinstance(found, Refuse):
        raise refuse(found)
    return Wanted(
        network=_network(deps, port.network_id),
        subnet_id=found[0],
        address=values.get("vip_address") or found[1],
        port=port,
        qos_policy_id=values.get("vip_qos_policy_id", port.qos_policy_id),
    )


def _from_network(deps: Deps, values: Mapping[str, Any], topology: str) -> Wanted:
    network = _network(deps, values["vip_network_id"])
    subnet_id, address = values.get("vip_subnet_id"), values.get("vip_address")
    if subnet_id is None:
        subnets = [each for each in map(deps.network.subnet, network.subnet_ids) if each is not None]
        chosen = rules.subnet_of_network(subnets, address, topology)
        if isinstance(chosen, Refuse):
            raise refuse(chosen)
        subnet_id = chosen
    elif deps.network.subnet(subnet_id) is None or subnet_id not in network.subnet_ids:
        raise Refused(400, f"Subnet {subnet_id} not found.")
    return Wanted(
        network=network,
        subnet_id=subnet_id,
        address=address,
        port=None,
        qos_policy_id=values.get("vip_qos_policy_id"),
    )


def _on_users_port(
    wanted: Wanted, port: Port, asked: list[tuple[str, str | None]], values: Mapping[str, Any]
) -> NewVip:
    additional = []
    for subnet_id, address in asked:
        found = rules.address_of_port(port, subnet_id, address)
        if isinstance(found, Refuse):
            raise refuse(found)
        additional.append((subnet_id, address or found[1]))
    assert wanted.address is not None  # noqa: S101 - taken from the port
    return NewVip(
        address=wanted.address,
        port_id=port.id,
        subnet_id=wanted.subnet_id,
        network_id=port.network_id,
        qos_policy_id=wanted.qos_policy_id,
        owned=False,
        additional=tuple(additional),
        security_groups=tuple(values["vip_sg_ids"]),
    )


def _network(deps: Deps, network_id: str) -> Network:
    network = deps.network.network(network_id)
    if network is None:
        raise Refused(400, f"Network {network_id} not found.")
    return network


def _subnet(deps: Deps, subnet_id: str) -> Subnet:
    subnet = deps.network.subnet(subnet_id)
    if subnet is None:
        raise Refused(400, f"Subnet {subnet_id} not found.")
    return subnet
