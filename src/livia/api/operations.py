"""Every operation of the API, by subject: one row for each method of each path.

`tests/api/test_openapi.py` compares the rows with what the application routes.
"""

from msgspec.structs import replace

from livia.api import operator_operations
from livia.api.wire import schemas
from livia.api.wire.event import EVENT
from livia.api.wire.health_monitor import HEALTH_MONITOR
from livia.api.wire.l7policy import L7POLICY
from livia.api.wire.l7rule import L7RULE
from livia.api.wire.listener import LISTENER
from livia.api.wire.load_balancer import LOAD_BALANCER
from livia.api.wire.member import MEMBER
from livia.api.wire.operation import LBAAS, Operation, Parameter, Subject, closed, lists, page, usual
from livia.api.wire.pool import POOL
from livia.api.wire.schemas import Schema, nullable, ref
from livia.core.model.pool import MonitorType
from livia.core.model.status import Operating, Provisioning

_TEXT: Schema = {"type": "string"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_FLAG: Schema = {"type": "string", "enum": ["true", "false", "True", "False"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_LINKS = _list(closed(href=_TEXT, rel={"type": "string", "enum": ["self"]}))
_VERSION = closed(id=_TEXT, status={"type": "string", "enum": ["SUPPORTED", "CURRENT"]}, updated=_TEXT, links=_LINKS)
_REASON: Schema = {"anyOf": [_TEXT, closed(**{"class": _TEXT, "details": _TEXT, "reason": _TEXT})]}
#: the detailed answer also tells about the process
_HEALTH: Schema = {
    **closed(detailed={"type": "boolean"}, reasons=_list(_REASON)),
    "additionalProperties": True,
}
_WORDS = {"text/plain": _TEXT, "text/html": _TEXT}
_REFUSAL = {"text/plain": _TEXT}

SERVICE = Subject(
    title="The service itself",
    about="What a client asks before it knows anything. None of it needs a token, but for `/v2`.",
    operations=(
        Operation(
            method="GET",
            path="/",
            name="list_versions",
            summary="List the versions of the API, oldest first",
            shows=closed(versions=_list(_VERSION)),
            open=True,
        ),
        Operation(
            method="GET",
            path="/v2",
            name="show_version",
            summary="Answer that version 2 is here",
            shows={"type": "string", "enum": ["v2"]},
        ),
        Operation(
            method="GET",
            path="/openapi.json",
            name="show_openapi",
            summary="Show this document",
            since=None,
            shows={"type": "object"},
            open=True,
        ),
        Operation(
            method="GET",
            path="/healthcheck",
            name="show_health",
            summary="Tell whether this process can serve; 404 unless the deployment turns it on",
            shows=_HEALTH,
            open=True,
            also={200: _WORDS, 204: {}, 404: _REFUSAL, 406: _REFUSAL, 503: {"application/json": _HEALTH, **_WORDS}},
        ),
        Operation(
            method="HEAD",
            path="/healthcheck",
            name="check_health",
            summary="The same without words",
            status=204,
            open=True,
            also={404: {}, 503: {}},
        ),
    ),
)

STATISTICS = closed(
    bytes_in=_COUNT, bytes_out=_COUNT, active_connections=_COUNT, total_connections=_COUNT, request_errors=_COUNT
)
_STATUSES = {
    "operating_status": {"type": "string", "enum": list(map(str, Operating))},
    "provisioning_status": {"type": "string", "enum": list(map(str, Provisioning))},
}
_NODE = {"id": _UUID, "name": _TEXT, **_STATUSES}
_MONITOR_NODE = closed(**_NODE, type={"type": "string", "enum": list(map(str, MonitorType))})
_MEMBER_NODE = closed(**_NODE, address=_TEXT, protocol_port={"type": "integer"})
_POOL_NODE = closed(**_NODE, health_monitor=nullable(_MONITOR_NODE), members=_list(_MEMBER_NODE))
_LISTENER_NODE = closed(**_NODE, pools=_list(_POOL_NODE))

#: what the answer to a POST has in place of ids (contract 10, section 6.4)
_CREATED = {
    "LoadBalancerCreated": schemas.shown(
        LOAD_BALANCER, listeners=_list(ref("ListenerCreated")), pools=_list(ref("PoolCreated"))
    ),
    "ListenerCreated": schemas.shown(LISTENER, without=("loadbalancers",), l7policies=_list(ref("L7policyCreated"))),
    "L7policyCreated": schemas.shown(L7POLICY, rules=_list(ref("Rule"))),
    "PoolCreated": schemas.shown(
        POOL,
        without=("loadbalancers", "healthmonitor_id"),
        members=_list(ref("Member")),
        healthmonitor={"anyOf": [ref("HealthMonitor"), {"type": "null"}]},
    ),
}


def _load_balancers() -> tuple[Operation, ...]:
    listed, create, show, update, delete = usual(LOAD_BALANCER, "a load balancer", "load balancers")
    cascade = Parameter(name="cascade", schema=_FLAG, about="Delete everything below it as well.")
    rule = f"{LOAD_BALANCER.item}:"
    return (
        listed,
        replace(
            create,
            summary="Create a load balancer, perhaps with everything below it",
            rules=(*create.rules, f"{rule}post:vip_sg_ids"),
            shows=closed(loadbalancer=ref("LoadBalancerCreated")),
        ),
        show,
        replace(update, rules=(*update.rules, f"{rule}put:vip_sg_ids")),
        replace(delete, query=(cascade,)),
        *_about_one(f"{LBAAS}/loadbalancers/{{loadbalancer_id}}", rule),
    )


def _about_one(item: str, rule: str) -> tuple[Operation, ...]:
    """What else there is about one load balancer."""
    status = Operation(
        method="GET",
        path=f"{item}/status",
        name="show_load_balancer_status",
        summary="Show the statuses of everything that its listeners reach, as a tree",
        rules=(f"{rule}get_status",),
        shows=closed(statuses=closed(loadbalancer=closed(**_NODE, listeners=_list(_LISTENER_NODE)))),
    )
    older = {"path": f"{item}/statuses", "name": "show_load_balancer_statuses", "summary": "An older path of the same"}
    return (
        status,
        replace(status, **older),
        Operation(
            method="GET",
            path=f"{item}/stats",
            name="show_load_balancer_statistics",
            summary="Show its counters, the sum of its listeners': bytes and connections",
            rules=(f"{rule}get_stats",),
            shows=closed(stats=STATISTICS),
        ),
        Operation(
            method="PUT",
            path=f"{item}/failover",
            name="failover_load_balancer",
            summary="Replace its amphorae; a body is ignored",
            rules=(f"{rule}put_failover",),
            status=202,
        ),
    )


def _members() -> tuple[Operation, ...]:
    path = f"{LBAAS}/pools/{{pool_id}}/members"
    rule = f"{MEMBER.item}:"
    additive = Parameter(name="additive_only", schema=_FLAG, about="Delete no member that is not named.", since="2.11")
    return (
        *usual(MEMBER, "a member", "members", path=path, everyones=False),
        Operation(
            method="PUT",
            path=path,
            name="replace_members",
            summary="Make these the members of a pool; address and port tell which of them exist",
            rules=(f"{rule}post", f"{rule}put", f"{rule}delete"),
            takes=closed(members=_list(ref(schemas.component(MEMBER, "create")))),
            query=(additive,),
            status=202,
        ),
    )


SUBJECTS = (
    SERVICE,
    Subject(
        title="Load balancers",
        about="A load balancer has an address (VIP) and what listens there.",
        resource=LOAD_BALANCER,
        operations=_load_balancers(),
        schemas=_CREATED,
    ),
    Subject(
        title="Events",
        about="What happened to a load balancer and to what belongs to it, and why: the reasons behind statuses.",
        resource=EVENT,
        operations=(
            Operation(
                method="GET",
                path=f"{LBAAS}/loadbalancers/{{loadbalancer_id}}/events",
                name="list_load_balancer_events",
                summary="List what happened, oldest first",
                since=None,
                rules=(f"{LOAD_BALANCER.item}:get_one",),
                shows=page(EVENT),
                query=lists(EVENT),
            ),
        ),
    ),
    Subject(
        title="Listeners",
        about="A listener takes connections at one port of a load balancer and hands them to pools.",
        resource=LISTENER,
        operations=(
            *usual(LISTENER, "a listener", "listeners"),
            Operation(
                method="GET",
                path=f"{LBAAS}/listeners/{{listener_id}}/stats",
                name="show_listener_statistics",
                summary="Show its counters: bytes and connections",
                rules=("listener:get_stats",),
                shows=closed(stats=STATISTICS),
            ),
        ),
    ),
    Subject(
        title="Pools",
        about="A pool spreads traffic over its members.",
        resource=POOL,
        operations=usual(POOL, "a pool", "pools"),
    ),
    Subject(
        title="Members",
        about="A member is a server of a pool: an address and a port.",
        resource=MEMBER,
        operations=_members(),
    ),
    Subject(
        title="Health monitors",
        about="A health monitor asks the members of a pool whether they work.",
        resource=HEALTH_MONITOR,
        operations=usual(HEALTH_MONITOR, "a health monitor", "health monitors"),
    ),
    Subject(
        title="L7 policies",
        about="An L7 policy rejects or redirects requests of an HTTP listener, or sends them to another pool. It takes "
        "those that meet all its enabled rules; a policy without an enabled rule takes none.",
        resource=L7POLICY,
        operations=usual(L7POLICY, "an L7 policy", "L7 policies"),
    ),
    Subject(
        title="L7 rules",
        about="An L7 rule is one condition of an L7 policy.",
        resource=L7RULE,
        operations=usual(
            L7RULE, "an L7 rule", "L7 rules", path=f"{LBAAS}/l7policies/{{l7policy_id}}/rules", everyones=False
        ),
    ),
    *operator_operations.SUBJECTS,
)
