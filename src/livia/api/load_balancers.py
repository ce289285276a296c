"""Load balancers over HTTP (contract 10): what they have beyond other resources."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import falcon

from livia.api import query
from livia.api.objects import Api, Collection, Definition, Item, clean, send
from livia.api.wire.attribute import Reader
from livia.api.wire.health_monitor import HEALTH_MONITOR
from livia.api.wire.l7policy import L7POLICY
from livia.api.wire.l7rule import L7RULE
from livia.api.wire.listener import LISTENER
from livia.api.wire.load_balancer import LOAD_BALANCER
from livia.api.wire.member import MEMBER
from livia.api.wire.pool import POOL
from livia.api.wire.shown import Shape
from livia.core.rules.graph import pools_of
from livia.core.rules.state import not_found
from livia.core.rules.verdict import Refuse, invalid
from livia.services import failover, load_balancers
from livia.services.change import place_of
from livia.services.context import Context, refuse
from livia.services.graph import Graph
from livia.store import health_monitors as monitor_store
from livia.store import l7policies as policy_store
from livia.store import l7rules as rule_store
from livia.store import listeners as listener_store
from livia.store import load_balancers as store
from livia.store import members as member_store
from livia.store import pools as pool_store
from livia.store import status_tree
from livia.store.objects import Place
from livia.store.view import Page

_ITEM = LOAD_BALANCER.item


def _not_by_definition(*_arguments: Any) -> Any:
    raise AssertionError("load balancers have their own responders for this")


DEFINITION = Definition(
    resource=LOAD_BALANCER,
    view=store.VIEW,
    kind="load_balancer",
    create=_not_by_definition,
    update=load_balancers.update,
    delete=_not_by_definition,
    parent=_not_by_definition,
)


class LoadBalancers(Collection):
    """The collection; POST may bring a whole tree."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, DEFINITION)
        self._listener = Reader(LISTENER, "nested")
        self._pool = Reader(POOL, "nested")
        self._shapes = {
            kind: (view, Shape(resource, view.names))
            for kind, resource, view in (
                ("listeners", LISTENER, listener_store.VIEW),
                ("pools", POOL, pool_store.VIEW),
                ("members", MEMBER, member_store.VIEW),
                ("healthmonitor", HEALTH_MONITOR, monitor_store.VIEW),
                ("l7policies", L7POLICY, policy_store.VIEW),
                ("rules", L7RULE, rule_store.VIEW),
            )
        }

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        query.refuse_unknown(request)
        given = self.responder.given_to_create(request)
        graph = self._graph(given)
        values = self.responder.complete(given)
        caller: Context = request.context.caller
        project_id = values["tenant_id"] or values["project_id"] or caller.project_id
        if not project_id:
            raise refuse(
                invalid(
                    "Missing project ID in request where one is required. "
                    "An administrator should check the keystone settings in the Octavia configuration."
                )
            )
        self.api.enforce(caller, _ITEM, "post", project_id)
        if "vip_sg_ids" in given:
            self.api.enforce(caller, _ITEM, "post:vip_sg_ids", project_id)
        for name in ("flavor_id", "availability_zone"):
            if name in given and given[name] is None:
                raise refuse(invalid(f"Invalid {name.replace('availability_zone', 'availability zone')}."))
        if "vip_qos_policy_id" not in given:
            # Unlike null it means the given port's.
            del values["vip_qos_policy_id"]
        created = load_balancers.create(self.api.deps, caller, project_id, values, graph)
        shown = self.responder.stored(created, "load_balancer")
        if graph.listeners or graph.pools:
            self._expand(shown)
        send(response, {_ITEM: shown}, falcon.HTTP_201)

    def _graph(self, given: Mapping[str, Any]) -> Graph:
        """The children of a single-call create, references resolved (contract 10, section 6)."""
        settings = self.api.deps.settings
        listeners = [self._listener.complete(each, settings) for each in _list(given, "listeners")]
        places = [each["default_pool"] for each in listeners]
        places += [policy["redirect_pool"] for each in listeners for policy in each["l7policies"]]
        found = pools_of(_list(given, "pools"), places)
        if isinstance(found, Refuse):
            raise refuse(found)
        pools = [self._pool.complete(each, settings) for each in found.definitions]
        named = iter(found.named)
        return Graph(
            listeners=listeners,
            pools=pools,
            default_pools=[next(named) for _each in listeners],
            redirect_pools=[[next(named) for _policy in each["l7policies"]] for each in listeners],
        )

    def _expand(self, shown: dict[str, Any]) -> None:
        """Children as objects instead of ids (contract 10, section 6.4): one statement a kind."""
        with self.api.deps.database.read() as connection:

            @cache
            def children(kind: str) -> dict[str, dict[str, Any]]:
                view, shape = self._shapes[kind]
                rows = view.page(connection, Page(where=(("load_balancer_id", shown["id"]),)))
                return {each["id"]: each for each in shape.objects(rows)}

            def inside(parent: dict[str, Any], kind: str) -> None:
                parent[kind] = [children(kind)[each["id"]] for each in parent[kind]]

            for kind in ("listeners", "pools"):
                inside(shown, kind)
                for each in shown[kind]:
                    del each["loadbalancers"]
            for pool in shown["pools"]:
                monitor_id = pool.pop("healthmonitor_id", None)
                pool["healthmonitor"] = None if monitor_id is None else children("healthmonitor")[monitor_id]
                inside(pool, "members")
            for listener in shown["listeners"]:
                inside(listener, "l7policies")
                for policy in listener["l7policies"]:
                    inside(policy, "rules")


class LoadBalancer(Item):
    """One load balancer; DELETE may cascade."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, DEFINITION)

    def enforce_update(self, caller: Context, project_id: str | None, changes: Mapping[str, Any]) -> None:
        super().enforce_update(caller, project_id, changes)
        if "vip_sg_ids" in changes:
            self.api.enforce(caller, _ITEM, "put:vip_sg_ids", project_id)

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        cascade = query.is_true(query.refuse_unknown(request, ("cascade",)).get("cascade"))
        place = place_of(self.api.deps, "load_balancer", clean(object_id))
        self.api.enforce(request.context.caller, _ITEM, "delete", place.project_id)
        load_balancers.delete(self.api.deps, request.context.caller, place.id, cascade=cascade)
        response.status = falcon.HTTP_204


class _Part:
    """Something about one load balancer."""

    action: str

    def __init__(self, api: Api) -> None:
        self.api = api

    def place(self, request: falcon.Request, object_id: str) -> Place:
        """The load balancer. Raises 404 and 403."""
        place = place_of(self.api.deps, "load_balancer", clean(object_id))
        self.api.enforce(request.context.caller, _ITEM, self.action, place.project_id)
        return place


class StatusTree(_Part):
    """GET …/status and …/statuses (contract 10, section 8)."""

    action = "get_status"

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        with self.api.deps.database.read() as connection:
            found = status_tree.load(connection, clean(object_id))
        if found is None:
            raise refuse(not_found("load_balancer", object_id))
        project_id, tree = found
        self.api.enforce(request.context.caller, _ITEM, self.action, project_id)
        send(response, {"statuses": {"loadbalancer": tree}})


class Statistics(_Part):
    """GET …/stats: the sum over all listeners (contract 10, section 7)."""

    action = "get_stats"

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        place = self.place(request, object_id)
        with self.api.deps.database.read() as connection:
            send(response, {"stats": listener_store.statistics_of_load_balancer(connection, place.id)})


class Failover(_Part):
    """PUT …/failover: the amphorae are replaced. A body is ignored (contract 10, section 9)."""

    action = "put_failover"

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        place = self.place(request, object_id)
        failover.request(self.api.deps, request.context.caller, place.id)
        response.status = falcon.HTTP_202


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    """A list of the request; one that is left out or null has no elements."""
    value = given.get(name)
    return value if isinstance(value, list) else []
