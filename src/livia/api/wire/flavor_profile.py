"""Flavor profiles on the wire (contract 60, section 3)."""

from livia.api.wire import offer
from livia.api.wire.attribute import Resource

_SINCE = "2.6"

FLAVOR_PROFILE = Resource(
    item="flavorprofile",
    collection="flavorprofiles",
    argument="flavor_profile_",
    rule="flavor-profile",
    # Clients look for either name.
    more_links=("flavorprofile_links",),
    attributes=(
        offer.identity("flavor profile", _SINCE),
        offer.profile_name("flavor profile", _SINCE),
        offer.provider_name(_SINCE),
        offer.data("flavor_data", _SINCE),
    ),
)
