"""The flavor, the availability zone and the provider of a new load balancer (contract 10, section 5; contract 60).

They are looked up first and refused later: the contract wants faults of the VIP before faults of these, and the
VIP's subnet depends on the topology.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from livia.core.model.load_balancer import Topology, VnicType
from livia.core.rules import offers as rules
from livia.core.rules.verdict import invalid
from livia.services import providers
from livia.services.context import Deps, Refused, refuse
from livia.store import offers
from livia.store.offers import Offer


class Choices(Struct, frozen=True):
    """What the request names; None: nothing, or nothing that there is."""

    flavor: Offer | None
    zone: Offer | None


class Granted(Struct, frozen=True):
    """What flavor and zone say, checked: keys of contract 60, sections 3.1 and 5.1."""

    flavor: Mapping[str, Any]
    zone: Mapping[str, Any]

    @property
    def vnic_type(self) -> VnicType:
        """The kind of port that the VIP is on."""
        return VnicType.DIRECT if self.flavor.get("sriov_vip") else VnicType.NORMAL

    def vip_networks(self, of_the_deployment: Sequence[str]) -> Sequence[str]:
        """The networks that VIPs may be on; empty: every one."""
        networks: Sequence[str] = self.zone.get("valid_vip_networks", of_the_deployment)
        return networks


def look_up(deps: Deps, values: Mapping[str, Any]) -> Choices:
    """Find what the request names."""
    flavor_id, zone = values["flavor_id"], values["availability_zone"]
    with deps.database.read() as connection:
        return Choices(
            flavor=None if flavor_id is None else offers.offer(connection, offers.FLAVORS, flavor_id),
            zone=None if zone is None else offers.offer(connection, offers.ZONES, zone),
        )


def topology(deps: Deps, chosen: Choices) -> str:
    """The flavor's topology, or else the deployment's."""
    asked = _data(chosen.flavor).get("loadbalancer_topology")
    return str(asked) if asked in tuple(Topology) else deps.settings.loadbalancer_topology


def allows_member_sriov(connection: Connection, flavor_id: str | None) -> bool:
    """Whether members of a load balancer with this flavor may be on SR-IOV ports."""
    found = None if flavor_id is None else offers.offer(connection, offers.FLAVORS, flavor_id)
    return _data(found).get("allow_member_sriov") is True


def _data(flavor: Offer | None) -> Mapping[str, Any]:
    """A flavor's data before it was checked for a provider."""
    data = {} if flavor is None else rules.parsed("flavor_data", flavor.data)
    return data if isinstance(data, dict) else {}


def provider(deps: Deps, values: Mapping[str, Any], chosen: Choices) -> str:
    """The provider asked for, by name or by flavor. Raises `Refused`."""
    flavor_id, zone, asked = values["flavor_id"], values["availability_zone"], values.get("provider")
    if flavor_id is not None and chosen.flavor is None:
        raise refuse(invalid("Invalid flavor_id."))
    if chosen.flavor is not None and not chosen.flavor.enabled:
        raise Refused(400, f"The selected flavor is not allowed in this deployment: {flavor_id}")
    if zone is not None and chosen.zone is None:
        raise refuse(invalid("Invalid availability zone."))
    if chosen.zone is not None and not chosen.zone.enabled:
        raise Refused(400, f"The selected availability_zone is not allowed in this deployment: {zone}")
    of_flavor = None if chosen.flavor is None else chosen.flavor.provider
    if asked is not None and of_flavor is not None and asked != of_flavor:
        raise Refused(400, f"Flavor '{flavor_id}' is not compatible with provider '{asked}'")
    name: str = (of_flavor or deps.settings.default_provider_driver) if asked is None else asked
    providers.require_enabled(deps, name)
    return name


def check(deps: Deps, provider_name: str, chosen: Choices) -> Granted:
    """What flavor and zone say, as far as the provider can do it. Raises `Refused`."""
    flavor, zone = chosen.flavor, chosen.zone
    return Granted(
        flavor={} if flavor is None else providers.flavor_data(deps, provider_name, flavor.data),
        zone={} if zone is None else providers.zone_data(deps, provider_name, zone.data),
    )
