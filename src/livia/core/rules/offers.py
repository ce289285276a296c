"""Flavors and availability zones: what the built-in provider can offer, and the refusals about them (contract 60)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from livia.core.model.load_balancer import Topology
from livia.core.rules.capabilities import NOOP_PROVIDERS
from livia.core.rules.state import TITLES
from livia.core.rules.verdict import ACCEPT, Refuse, Verdict

#: the key of rows that hold the place of deleted offers; the API hides it (contract 98, section 3)
PLACEHOLDER = "00000000-0000-0000-0000-000000000000"


class Form(StrEnum):
    """The JSON type of a capability's value."""

    TEXT = "a string"
    FLAG = "true or false"
    TEXTS = "a list of strings"


class Capability(Struct, frozen=True):
    """One key that the data of a profile may have. `words`: the only values, when there are few."""

    name: str
    form: Form
    description: str
    words: tuple[str, ...] = ()


#: of the built-in provider (contract 60, sections 3.1 and 6: clients compare the text about the topology)
_FLAVOR = (
    Capability(
        "loadbalancer_topology",
        Form.TEXT,
        "The load balancer topology. One of: SINGLE - One amphora per load balancer. "
        "ACTIVE_STANDBY - Two amphora per load balancer.",
        tuple(Topology),
    ),
    Capability("compute_flavor", Form.TEXT, "The compute flavor of the amphorae: an id of the compute service."),
    Capability("amp_image_tag", Form.TEXT, "The tag of the image that amphorae are booted from."),
    Capability("sriov_vip", Form.FLAG, "Whether the VIP is on SR-IOV virtual functions."),
    Capability("allow_member_sriov", Form.FLAG, "Whether members may ask for SR-IOV ports."),
)
#: of the built-in provider (contract 60, sections 5.1 and 6: clients compare the text about the compute zone)
_ZONE = (
    Capability("compute_zone", Form.TEXT, "The compute availability zone."),
    Capability("volume_zone", Form.TEXT, "The availability zone of the volumes that amphorae are booted from."),
    Capability("management_network", Form.TEXT, "The network by which controllers reach the amphorae: an id."),
    Capability(
        "valid_vip_networks", Form.TEXTS, "The networks that VIPs may be on, in place of the deployment's list: ids."
    ),
)


#: what the no-op providers know of these (contract 97, section 8)
_NOOP = frozenset({"amp_image_tag", "compute_zone", "volume_zone"})


def flavor_capabilities(provider: str) -> tuple[Capability, ...]:
    """What the data of a flavor profile of the provider may have."""
    return _of(provider, _FLAVOR)


def zone_capabilities(provider: str) -> tuple[Capability, ...]:
    """What the data of an availability zone profile of the provider may have."""
    return _of(provider, _ZONE)


def _of(provider: str, every: tuple[Capability, ...]) -> tuple[Capability, ...]:
    return tuple(each for each in every if each.name in _NOOP) if provider in NOOP_PROVIDERS else every


def parsed(attribute: str, text: str) -> Any:
    """The JSON value of a profile's data, or the refusal of what is none. `attribute`: the name on the wire."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Refuse(400, f"{text} is not a valid option for {attribute}")


def supported(provider: str, capabilities: Sequence[Capability], data: Any) -> Verdict:
    """Whether the provider can do what a profile's data asks for (contract 60, section 3)."""
    problem = _problem(capabilities, data)
    return ACCEPT if problem is None else unsupported(provider, problem)


def unsupported(provider: str, detail: str) -> Refuse:
    """The provider has no such option, or not with such a value."""
    return Refuse(501, f"Provider '{provider}' does not support a requested option: {detail}")


def provider_error(provider: str, detail: str) -> Refuse:
    """What the options refer to is not there."""
    return Refuse(500, f"Provider '{provider}' reports error: {detail}")


def networks_of(zone: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of the networks that a zone's data names."""
    management = zone.get("management_network")
    return (*(() if management is None else (management,)), *zone.get("valid_vip_networks", ()))


def exists(kind: str, name: str) -> Refuse:
    """The name is taken."""
    return Refuse(409, f"A {kind.replace('_', ' ')} of {name} already exists.")


def in_use(kind: str, key: str) -> Refuse:
    """Something that is not deleted refers to it."""
    return Refuse(409, f"{TITLES[kind]} {key} is in use and cannot be modified.")


def _problem(capabilities: Sequence[Capability], data: Any) -> str | None:
    if not isinstance(data, dict):
        return "The data must be a JSON object."
    known = {each.name: each for each in capabilities}
    for name, value in data.items():
        if name not in known:
            return f"There is no option {name} (there are {', '.join(sorted(known))})."
        capability = known[name]
        if not _fits(capability.form, value):
            return f"{name} must be {capability.form}."
        if capability.words and value not in capability.words:
            return f"{name} must be one of {', '.join(capability.words)}."
    return None


def _fits(form: Form, value: Any) -> bool:
    if form is Form.TEXTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, bool if form is Form.FLAG else str)
