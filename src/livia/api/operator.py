"""Resources by which operators shape the service (contract 60 and 70): definitions and routes."""

from typing import Any

import falcon

from livia.api import amphorae, quotas
from livia.api.objects import Api, Collection, Definition, Item
from livia.api.providers import Capabilities, NotAllowed, Providers
from livia.api.wire.availability_zone import AVAILABILITY_ZONE
from livia.api.wire.availability_zone_profile import AVAILABILITY_ZONE_PROFILE
from livia.api.wire.flavor import FLAVOR
from livia.api.wire.flavor_profile import FLAVOR_PROFILE
from livia.services import offers, providers
from livia.store import offers as store

DEFINITIONS = (
    Definition(
        resource=FLAVOR,
        view=store.FLAVOR_VIEW,
        kind="flavor",
        create=offers.FLAVORS.create,
        update=offers.FLAVORS.update,
        delete=offers.FLAVORS.delete,
    ),
    Definition(
        resource=FLAVOR_PROFILE,
        view=store.FLAVOR_PROFILE_VIEW,
        kind="flavor_profile",
        create=offers.FLAVOR_PROFILES.create,
        update=offers.FLAVOR_PROFILES.update,
        delete=offers.FLAVOR_PROFILES.delete,
    ),
    Definition(
        resource=AVAILABILITY_ZONE,
        view=store.ZONE_VIEW,
        kind="availability_zone",
        create=offers.ZONES.create,
        update=offers.ZONES.update,
        delete=offers.ZONES.delete,
    ),
    Definition(
        resource=AVAILABILITY_ZONE_PROFILE,
        view=store.ZONE_PROFILE_VIEW,
        kind="availability_zone_profile",
        create=offers.ZONE_PROFILES.create,
        update=offers.ZONE_PROFILES.update,
        delete=offers.ZONE_PROFILES.delete,
    ),
)


def add_routes(app: falcon.App[Any, Any], api: Api) -> None:
    """Serve them."""
    for definition in DEFINITIONS:
        path = f"/lbaas/{definition.resource.url_word}"
        app.add_route(path, Collection(api, definition))
        app.add_route(f"{path}/{{object_id}}", Item(api, definition))
    _add_providers(app, api)
    _add_quotas(app, api)
    _add_amphorae(app, api)


def _add_quotas(app: falcon.App[Any, Any], api: Api) -> None:
    app.add_route("/lbaas/quotas", quotas.Quotas(api))
    app.add_route("/lbaas/quotas/{object_id}", quotas.Quota(api))
    app.add_route("/lbaas/quotas/{object_id}/default", quotas.Defaults(api))


def _add_amphorae(app: falcon.App[Any, Any], api: Api) -> None:
    one = "/octavia/amphorae/{object_id}"
    app.add_route("/octavia/amphorae", amphorae.Amphorae(api))
    app.add_route(one, amphorae.Amphora(api))
    app.add_route(f"{one}/stats", amphorae.Statistics(api))
    app.add_route(f"{one}/config", amphorae.Config(api))
    app.add_route(f"{one}/failover", amphorae.Failover(api))


def _add_providers(app: falcon.App[Any, Any], api: Api) -> None:
    one = "/lbaas/providers/{provider}"
    flavors = Capabilities(api, name="flavor_capabilities", rule="provider-flavor", find=providers.flavor_capabilities)
    zones = Capabilities(
        api,
        name="availability_zone_capabilities",
        rule="provider-availability-zone",
        find=providers.zone_capabilities,
    )
    app.add_route("/lbaas/providers", Providers(api))
    app.add_route(f"{one}/flavor_capabilities", flavors)
    app.add_route(f"{one}/availability_zone_capabilities", zones)
    app.add_route(one, NotAllowed())
    app.add_route(f"{one}/{{part}}", NotAllowed())
