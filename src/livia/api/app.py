"""The WSGI application."""

from typing import Any

import falcon
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from livia.api import catalogue, errors, l7, load_balancers, members, operator
from livia.api.auth import Authenticator, NoAuth
from livia.api.cors import Cors
from livia.api.description import Description
from livia.api.discovery import Discovery, Version
from livia.api.events import Events
from livia.api.healthcheck import Healthcheck
from livia.api.listeners import ListenerStatistics
from livia.api.metrics import Requests
from livia.api.middleware import Middleware, TooLarge
from livia.api.nested import ChildItem, Children
from livia.api.objects import Api, Collection, Definition, Item
from livia.api.policy import AdminPolicy, Policy
from livia.api.wire.health_monitor import HEALTH_MONITOR
from livia.api.wire.listener import LISTENER
from livia.api.wire.pool import POOL
from livia.api.writes import Router
from livia.core.drivers import NetworkCatalogue
from livia.services import health_monitors, listeners, pools
from livia.services.change import place_of
from livia.services.context import Deps
from livia.services.settings import CorsSettings, HealthcheckSettings
from livia.services.waking import WakeAfterCommit
from livia.store import health_monitors as monitor_store
from livia.store import listeners as listener_store
from livia.store import pools as pool_store

_DEFINITIONS = (
    Definition(
        resource=LISTENER,
        view=listener_store.VIEW,
        kind="listener",
        create=listeners.create,
        update=listeners.update,
        delete=listeners.delete,
        parent=lambda deps, values: place_of(deps, "load_balancer", values["loadbalancer_id"]),
    ),
    Definition(
        resource=POOL,
        view=pool_store.VIEW,
        kind="pool",
        create=pools.create,
        update=pools.update,
        delete=pools.delete,
        parent=pools.parent_of,
    ),
    Definition(
        resource=HEALTH_MONITOR,
        view=monitor_store.VIEW,
        kind="health_monitor",
        create=health_monitors.create,
        update=health_monitors.update,
        delete=health_monitors.delete,
        parent=lambda deps, values: place_of(deps, "pool", values["pool_id"]),
    ),
    l7.POLICY,
)


def create(
    deps: Deps,
    *,
    authenticator: Authenticator | None = None,
    policy: Policy | None = None,
    cors: CorsSettings | None = None,
    healthcheck: HealthcheckSettings | None = None,
    registry: CollectorRegistry | None = None,
) -> falcon.App[Any, Any]:
    """The application. By default nobody authenticates and everybody is admin (`auth_strategy = noauth`).

    `registry`: where its metrics go.
    """
    deps = replace(deps, wake=WakeAfterCommit(deps.database, deps.wake))
    api = Api(deps, policy or AdminPolicy())
    middleware: list[Any] = [
        Requests(deps.clock, registry or CollectorRegistry()),
        Middleware(deps.settings, authenticator or NoAuth(deps.settings.default_project)),
    ]
    if cors is not None and cors.allowed_origin:
        middleware.append(Cors(cors))
    app: falcon.App[Any, Any] = falcon.App(middleware=middleware, router=Router(deps))
    # What has no body has no type either; what has one says so itself.
    app.resp_options.default_media_type = None  # type: ignore[assignment]
    errors.install(app)
    app.add_error_handler(TooLarge, _too_large)
    _add_descriptions(app, deps, healthcheck or HealthcheckSettings())
    _add_load_balancers(app, api)
    _add_parts(app, api)
    operator.add_routes(app, api)
    if isinstance(deps.network, NetworkCatalogue):
        catalogue.add_routes(app, api, deps.network)
    return app


def _add_descriptions(app: falcon.App[Any, Any], deps: Deps, healthcheck: HealthcheckSettings) -> None:
    """What the service tells of itself."""
    app.add_route("/", Discovery(deps.settings))
    app.add_route("/healthcheck", Healthcheck(deps, healthcheck))
    # Paths are known without `.json`.
    app.add_route("/openapi", Description(deps.settings))
    app.add_route("/lbaas", Version())


def _add_load_balancers(app: falcon.App[Any, Any], api: Api) -> None:
    item = "/lbaas/loadbalancers/{object_id}"
    app.add_route("/lbaas/loadbalancers", load_balancers.LoadBalancers(api))
    app.add_route(item, load_balancers.LoadBalancer(api))
    for name in ("status", "statuses"):
        app.add_route(f"{item}/{name}", load_balancers.StatusTree(api))
    app.add_route(f"{item}/stats", load_balancers.Statistics(api))
    app.add_route(f"{item}/events", Events(api))
    app.add_route(f"{item}/failover", load_balancers.Failover(api))


def _add_parts(app: falcon.App[Any, Any], api: Api) -> None:
    """What load balancers are made of."""
    for definition in _DEFINITIONS:
        path = f"/lbaas/{definition.resource.url_word}"
        app.add_route(path, Collection(api, definition))
        app.add_route(f"{path}/{{object_id}}", Item(api, definition))
    app.add_route("/lbaas/listeners/{object_id}/stats", ListenerStatistics(api))
    app.add_route("/lbaas/pools/{object_id}/members", members.Members(api))
    app.add_route("/lbaas/pools/{object_id}/members/{child_id}", ChildItem(api, members.CHILD))
    app.add_route("/lbaas/l7policies/{object_id}/rules", Children(api, l7.RULE))
    app.add_route("/lbaas/l7policies/{object_id}/rules/{child_id}", ChildItem(api, l7.RULE))


def _too_large(_request: falcon.Request, response: falcon.Response, _error: TooLarge, _params: dict[str, Any]) -> None:
    response.status = falcon.HTTP_413
    response.content_type = "text/plain"
    response.text = "The request body is too large."
