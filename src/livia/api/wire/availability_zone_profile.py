"""Availability zone profiles on the wire (contract 60, section 5)."""

from livia.api.wire import offer
from livia.api.wire.attribute import Resource

_SINCE = "2.14"

AVAILABILITY_ZONE_PROFILE = Resource(
    item="availability_zone_profile",
    collection="availability_zone_profiles",
    argument="availability_zone_profile_",
    path="availabilityzoneprofiles",
    rule="availability-zone-profile",
    # Clients look for either name.
    more_links=("availability_zone_profile_links",),
    attributes=(
        offer.identity("availability zone profile", _SINCE),
        offer.profile_name("availability zone profile", _SINCE),
        offer.provider_name(_SINCE),
        offer.data("availability_zone_data", _SINCE),
    ),
)
