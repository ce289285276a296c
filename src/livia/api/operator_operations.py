"""The operations of what operators shape the service with: rows as in `livia.api.operations`."""

from livia.api.wire.availability_zone import AVAILABILITY_ZONE
from livia.api.wire.availability_zone_profile import AVAILABILITY_ZONE_PROFILE
from livia.api.wire.flavor import FLAVOR
from livia.api.wire.flavor_profile import FLAVOR_PROFILE
from livia.api.wire.operation import LBAAS, Operation, Parameter, Subject, closed, usual
from livia.api.wire.schemas import Schema

_TEXT: Schema = {"type": "string"}
#: what is listed of providers and capabilities; `fields` may leave one of them out
_DESCRIBED: Schema = {
    "type": "object",
    "properties": {"name": _TEXT, "description": _TEXT},
    "additionalProperties": False,
}
_FIELDS = Parameter(
    name="fields",
    schema={"type": "string", "enum": ["name", "description"]},
    about="Show only this attribute. Repeat it for both.",
    repeated=True,
)
_FILTERS = tuple(
    Parameter(name=name, schema=_TEXT, about="Only those whose value equals this.") for name in ("name", "description")
)


def _capabilities(word: str, what: str, rule: str, since: str) -> Operation:
    return Operation(
        method="GET",
        path=f"{LBAAS}/providers/{{provider}}/{word}",
        name=f"list_{word}",
        summary=f"List what the data of {what} of this provider may have",
        rules=(f"{rule}:get_all",),
        shows=closed(**{word: {"type": "array", "items": _DESCRIBED}}),
        query=(*_FILTERS, _FIELDS),
        since=since,
    )


_PROVIDERS = (
    Operation(
        method="GET",
        path=f"{LBAAS}/providers",
        name="list_providers",
        summary="List the enabled providers",
        rules=("provider:get_all",),
        shows=closed(providers={"type": "array", "items": _DESCRIBED}),
        query=(_FIELDS,),
        since="2.1",
    ),
    _capabilities("flavor_capabilities", "flavor profiles", "provider-flavor", "2.6"),
    _capabilities("availability_zone_capabilities", "availability zone profiles", "provider-availability-zone", "2.14"),
)

SUBJECTS = (
    Subject(
        title="Providers",
        about="A provider runs load balancers: the built-in one in amphorae.",
        operations=_PROVIDERS,
    ),
    Subject(
        title="Flavors",
        about="A flavor is a kind of load balancer that users may choose, made of a flavor profile.",
        resource=FLAVOR,
        operations=usual(FLAVOR, "a flavor", "flavors", everyones=False, since="2.6"),
    ),
    Subject(
        title="Flavor profiles",
        about="A flavor profile says what a provider is asked for when a load balancer has such a flavor.",
        resource=FLAVOR_PROFILE,
        operations=usual(FLAVOR_PROFILE, "a flavor profile", "flavor profiles", everyones=False, since="2.6"),
    ),
    Subject(
        title="Availability zones",
        about="An availability zone is a place for load balancers that users may choose. It is known by its name.",
        resource=AVAILABILITY_ZONE,
        operations=usual(
            AVAILABILITY_ZONE,
            "an availability zone",
            "availability zones",
            key="availability_zone_name",
            everyones=False,
            since="2.14",
        ),
    ),
    Subject(
        title="Availability zone profiles",
        about="An availability zone profile says what a provider is asked for when a load balancer is in such a zone.",
        resource=AVAILABILITY_ZONE_PROFILE,
        operations=usual(
            AVAILABILITY_ZONE_PROFILE,
            "an availability zone profile",
            "availability zone profiles",
            everyones=False,
            since="2.14",
        ),
    ),
)
