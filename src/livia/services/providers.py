"""Providers: which the deployment has, and what their flavors and availability zones can say (contract 60)."""

from typing import Any

from livia.core.rules import offers as rules
from livia.core.rules.capabilities import PROVIDERS
from livia.core.rules.offers import Capability
from livia.core.rules.verdict import Refuse
from livia.services.context import Deps, Refused, refuse, require


def listed(deps: Deps) -> list[dict[str, str]]:
    """Name and description of each provider that is enabled and can be used."""
    enabled = deps.settings.enabled_provider_drivers
    return [{"name": name, "description": text} for name, text in enabled.items() if name in PROVIDERS]


def require_enabled(deps: Deps, provider: str) -> None:
    """Raise the 400 of a provider that is not enabled, and the 501 of one that cannot be loaded."""
    if provider not in deps.settings.enabled_provider_drivers:
        raise Refused(400, f"Provider '{provider}' is not enabled.")
    if provider not in PROVIDERS:
        raise Refused(501, f"Provider '{provider}' was not found.")


def flavor_capabilities(deps: Deps, provider: str) -> tuple[Capability, ...]:
    """What the data of a flavor profile of the provider may have. Raises `Refused`."""
    require_enabled(deps, provider)
    return rules.flavor_capabilities(provider)


def zone_capabilities(deps: Deps, provider: str) -> tuple[Capability, ...]:
    """What the data of an availability zone profile of the provider may have. Raises `Refused`."""
    require_enabled(deps, provider)
    return rules.zone_capabilities(provider)


def flavor_data(deps: Deps, provider: str, text: str) -> dict[str, Any]:
    """The data of a flavor profile, parsed and checked. Raises `Refused`."""
    data = _parsed("flavor_data", text)
    require(rules.supported(provider, flavor_capabilities(deps, provider), data))
    return dict(data)


def zone_data(deps: Deps, provider: str, text: str) -> dict[str, Any]:
    """The data of an availability zone profile, parsed and checked, networks looked up. Raises `Refused`."""
    data = _parsed("availability_zone_data", text)
    require(rules.supported(provider, zone_capabilities(deps, provider), data))
    for network_id in rules.networks_of(data):
        if deps.network.network(network_id) is None:
            raise refuse(rules.provider_error(provider, f"Network {network_id} not found."))
    return dict(data)


def _parsed(attribute: str, text: str) -> Any:
    data = rules.parsed(attribute, text)
    if isinstance(data, Refuse):
        raise refuse(data)
    return data
