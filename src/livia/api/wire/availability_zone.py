"""Availability zones on the wire: known by their names (contract 60, section 4)."""

from livia.api.wire import offer
from livia.api.wire.attribute import Resource
from livia.api.wire.kinds import Text, Uuid

_SINCE = "2.14"

AVAILABILITY_ZONE = Resource(
    item="availability_zone",
    collection="availability_zones",
    argument="availability_zone_",
    path="availabilityzones",
    rule="availability-zone",
    key="name",
    attributes=(
        offer.mandatory(
            "name",
            # It is the last part of the zone's URL: with a slash, or empty, none could be shown or deleted; and with
            # `.json`, which paths may end with, the request would reach the zone whose name lacks it.
            Text(255, r"[^/]+(?<!\.json)"),
            "The name of the availability zone, by which it is also addressed; 1 to 255 characters without a slash, "
            "and without `.json` at the end.",
            _SINCE,
        ),
        offer.description("availability zone", _SINCE),
        offer.enabled("availability zone", _SINCE),
        offer.mandatory(
            "availability_zone_profile_id", Uuid(), "The availability zone profile that the zone is made of.", _SINCE
        ),
    ),
)
