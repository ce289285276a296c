"""Flavors on the wire (contract 60, section 2)."""

from livia.api.wire import offer
from livia.api.wire.attribute import Resource
from livia.api.wire.kinds import Text, Uuid

_SINCE = "2.6"

FLAVOR = Resource(
    item="flavor",
    collection="flavors",
    argument="flavor_",
    attributes=(
        offer.identity("flavor", _SINCE),
        offer.mandatory(
            "name",
            Text(255),
            "The name of the flavor; at most 255 characters, and no other flavor has it.",
            _SINCE,
            update=True,
            on_update_null="",
        ),
        offer.description("flavor", _SINCE),
        offer.enabled("flavor", _SINCE),
        offer.mandatory("flavor_profile_id", Uuid(), "The flavor profile that the flavor is made of.", _SINCE),
    ),
)
