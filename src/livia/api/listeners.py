"""Listeners over HTTP (contract 20): what they have beyond other resources."""

import falcon

from livia.api.objects import Api, clean, send
from livia.services.change import place_of
from livia.store import listeners


class ListenerStatistics:
    """GET …/stats: the sum over the listener's amphorae (contract 20, section 10)."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        place = place_of(self._api.deps, "listener", clean(object_id))
        self._api.enforce(request.context.caller, "listener", "get_stats", place.project_id)
        with self._api.deps.database.read() as connection:
            send(response, {"stats": listeners.statistics(connection, place.id)})
