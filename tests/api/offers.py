"""Flavors and availability zones for tests: the two differ in names only, so that one table tests both."""

import json
from typing import Any

from msgspec import Struct

from tests.api.harness import Harness

NIL = "00000000-0000-0000-0000-000000000000"


class Shelf(Struct, frozen=True, kw_only=True):
    """The words of one kind of offer and of its profiles."""

    item: str
    path: str
    collection: str
    key: str
    argument: str
    title: str
    kind: str
    profile_item: str
    profile_path: str
    profile_collection: str
    profile_argument: str
    profile_title: str
    profile_links: str
    data: str
    #: a value of `data` that the built-in provider takes
    good: dict[str, Any]
    #: the attribute of a load balancer that names an offer
    chosen: str

    @property
    def profile_id(self) -> str:
        """The offer's attribute that names its profile."""
        return {"flavor": "flavor_profile_id"}.get(self.item, "availability_zone_profile_id")

    def profile(self, harness: Harness, data: Any = None, **values: Any) -> dict[str, Any]:
        """A new profile. `data`: what its data says."""
        text = json.dumps(self.good if data is None else data)
        body = {"name": "p", "provider_name": "amphora", self.data: text, **values}
        return harness.accepted(harness.client.post(self.profile_path, {self.profile_item: body}))

    def offer(self, harness: Harness, data: Any = None, provider: str = "amphora", **values: Any) -> dict[str, Any]:
        """A new offer, of a profile of its own unless `values` names one."""
        named = {"name": "o", **values}
        if self.profile_id not in named:
            named[self.profile_id] = self.profile(harness, data, provider_name=provider)["id"]
        return harness.accepted(harness.client.post(self.path, {self.item: named}))

    def at(self, offer: dict[str, Any]) -> str:
        """The path of an offer."""
        return f"{self.path}/{offer[self.key]}"


FLAVORS = Shelf(
    item="flavor",
    path="/flavors",
    collection="flavors",
    key="id",
    argument="flavor_",
    title="Flavor",
    kind="flavor",
    profile_item="flavorprofile",
    profile_path="/flavorprofiles",
    profile_collection="flavorprofiles",
    profile_argument="flavor_profile_",
    profile_title="Flavor profile",
    profile_links="flavorprofile_links",
    data="flavor_data",
    good={"loadbalancer_topology": "SINGLE"},
    chosen="flavor_id",
)
ZONES = Shelf(
    item="availability_zone",
    path="/availabilityzones",
    collection="availability_zones",
    key="name",
    argument="availability_zone_",
    title="Availability Zone",
    kind="availability zone",
    profile_item="availability_zone_profile",
    profile_path="/availabilityzoneprofiles",
    profile_collection="availability_zone_profiles",
    profile_argument="availability_zone_profile_",
    profile_title="Availability Zone Profile",
    profile_links="availability_zone_profile_links",
    data="availability_zone_data",
    good={"compute_zone": "nova"},
    chosen="availability_zone",
)
SHELVES = [FLAVORS, ZONES]
