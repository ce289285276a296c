"""Events on the wire: ours, beyond the contract (design, section 5)."""

from livia.api.wire.attribute import Resource
from livia.api.wire.common import shown
from livia.api.wire.kinds import Choice, Text
from livia.api.wire.schemas import TIME, nullable
from livia.core.model.event import Severity

EVENT = Resource(
    item="event",
    collection="events",
    argument="event_",
    attributes=(
        shown("id", filtered=False, render=str, shows={"type": "string"}, about="Later events have greater numbers."),
        shown("created_at", filtered=False, shows=TIME, about="When it happened, in UTC."),
        shown("object_type", Text(32), about="The kind of object it happened to, as `load_balancer` or `member`."),
        shown("object_id", Text(36), about="The object it happened to, which may be gone."),
        shown("severity", Choice(tuple(Severity)), about="Whether it is as it should be."),
        shown("code", Text(64), about="What happened, for programs: it stays the same from version to version."),
        shown("message", sorted=False, filtered=False, shows={"type": "string"}, about="A sentence for people."),
        shown(
            "request_id",
            Text(64),
            sorted=False,
            shows=nullable({"type": "string"}),
            about="The request that it followed from: the `x-openstack-request-id` of its answer.",
        ),
    ),
)
