"""The operations of what operators shape the service with: rows as in `livia.api.operations`."""

from msgspec.structs import replace

from livia.api.wire.amphora import AMPHORA
from livia.api.wire.availability_zone import AVAILABILITY_ZONE
from livia.api.wire.availability_zone_profile import AVAILABILITY_ZONE_PROFILE
from livia.api.wire.flavor import FLAVOR
from livia.api.wire.flavor_profile import FLAVOR_PROFILE
from livia.api.wire.operation import (
    LBAAS,
    Operation,
    Parameter,
    Subject,
    closed,
    lists,
    page,
    shown,
    taken,
    usual,
)
from livia.api.wire.quota import QUOTA
from livia.api.wire.schemas import Schema, nullable

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


_QUOTAS_PATH = f"{LBAAS}/quotas"
_QUOTA_PATH = f"{_QUOTAS_PATH}/{{project_id}}"
_SHOW_QUOTA = Operation(
    method="GET",
    path=_QUOTA_PATH,
    name="show_quota",
    summary="Show the limits of a project; of the project `defaults`: those of every project without its own",
    rules=("quota:get_one",),
    shows=shown(QUOTA),
)
_QUOTAS = (
    Operation(
        method="GET",
        path=_QUOTAS_PATH,
        name="list_quotas",
        summary="List the limits of every project that has set some, or has had something counted",
        rules=("quota:get_all", "quota:get_all-global"),
        shows=page(QUOTA),
        query=tuple(each for each in lists(QUOTA) if each.name != "fields"),
    ),
    _SHOW_QUOTA,
    replace(
        _SHOW_QUOTA,
        path=f"{_QUOTA_PATH}/default",
        name="show_default_quota",
        summary="Show the limits of a project without its own",
        rules=("quota:get_defaults",),
    ),
    Operation(
        method="PUT",
        path=_QUOTA_PATH,
        name="update_quota",
        summary="Set limits of a project",
        rules=("quota:put",),
        takes=taken(QUOTA, "update"),
        shows=shown(QUOTA),
        status=202,
    ),
    Operation(
        method="DELETE",
        path=_QUOTA_PATH,
        name="reset_quota",
        summary="Let the deployment's limits apply to a project again",
        rules=("quota:delete",),
        status=202,
    ),
)

_COUNT: Schema = {"type": "integer", "minimum": 0}
_UUID: Schema = {"type": "string", "format": "uuid"}
_AMPHORA_STATISTICS = closed(
    id=_UUID,
    loadbalancer_id=nullable(_UUID),
    listener_id=_UUID,
    **dict.fromkeys(("active_connections", "total_connections", "bytes_in", "bytes_out", "request_errors"), _COUNT),
)


def _amphorae() -> tuple[Operation, ...]:
    listed, _create, show, _update, delete = usual(
        AMPHORA, "an amphora", "amphorae", path="/v2/octavia/amphorae", everyones=False
    )
    return (
        listed,
        show,
        replace(delete, summary="Delete an amphora that has failed", since="2.21"),
        Operation(
            method="GET",
            path=f"{show.path}/stats",
            name="show_amphora_statistics",
            summary="Show its counters, listener by listener: bytes and connections",
            rules=("amphora:get_stats",),
            shows=closed(amphora_stats={"type": "array", "items": _AMPHORA_STATISTICS, "minItems": 1}),
            since="2.3",
        ),
        Operation(
            method="PUT",
            path=f"{show.path}/config",
            name="configure_amphora",
            summary="Send its agent the whole configuration anew; a body is ignored",
            rules=("amphora:put_config",),
            status=202,
            since="2.7",
        ),
        Operation(
            method="PUT",
            path=f"{show.path}/failover",
            name="failover_amphora",
            summary="Replace it by another with the same role; a body is ignored",
            rules=("amphora:put_failover",),
            status=202,
            since="2.3",
        ),
    )


SUBJECTS = (
    Subject(
        title="Amphorae",
        about="An amphora is the isolated place where one load balancer's HAProxy runs: alone, or as one of a pair.",
        resource=AMPHORA,
        operations=_amphorae(),
    ),
    Subject(
        title="Quotas",
        about="A quota limits how many objects a project may have. What is there already stays, however many it is.",
        resource=QUOTA,
        operations=_QUOTAS,
    ),
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
