"""What the data of flavors and availability zones may be (contract 60, sections 3.1 and 5.1)."""

from typing import Any

import pytest

from livia.core.rules import offers
from livia.core.rules.verdict import ACCEPT, Refuse

#: provider, data of a flavor, the problem
FLAVORS: list[tuple[str, Any, str | None]] = [
    ("amphora", {}, None),
    ("octavia", {"loadbalancer_topology": "SINGLE", "sriov_vip": False}, None),
    ("amphora", {"loadbalancer_topology": "single"}, "loadbalancer_topology must be one of SINGLE, ACTIVE_STANDBY."),
    ("amphora", {"sriov_vip": 0}, "sriov_vip must be true or false."),
    ("amphora", {"amp_image_tag": None}, "amp_image_tag must be a string."),
    ("amphora", [], "The data must be a JSON object."),
    ("noop_driver", {"amp_image_tag": "x"}, None),
    ("noop_driver", {"compute_flavor": "x"}, "There is no option compute_flavor (there are amp_image_tag)."),
]


@pytest.mark.parametrize("provider, data, problem", FLAVORS)
def test_data_of_flavors(provider: str, data: Any, problem: str | None) -> None:
    verdict = offers.supported(provider, offers.flavor_capabilities(provider), data)
    text = f"Provider '{provider}' does not support a requested option: {problem}"
    assert verdict == (ACCEPT if problem is None else Refuse(501, text))


@pytest.mark.parametrize(
    "data, networks",
    [
        ({}, ()),
        ({"compute_zone": "nova"}, ()),
        ({"management_network": "m"}, ("m",)),
        ({"valid_vip_networks": ["a", "b"], "management_network": "m"}, ("m", "a", "b")),
    ],
)
def test_networks_of_zones(data: dict[str, Any], networks: tuple[str, ...]) -> None:
    assert offers.supported("amphora", offers.zone_capabilities("amphora"), data) == ACCEPT
    assert offers.networks_of(data) == networks


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "{'a': 1}", "[" * 5000])
def test_what_is_no_json(text: str) -> None:
    assert offers.parsed("flavor_data", text) == Refuse(400, f"{text} is not a valid option for flavor_data")
