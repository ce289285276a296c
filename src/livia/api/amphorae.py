"""Amphorae over HTTP, below `/v2/octavia` (contract 70)."""

import falcon

from livia.api import query
from livia.api.objects import Api, Responder, clean, send
from livia.api.wire.amphora import AMPHORA
from livia.services import amphorae
from livia.services.context import Refused
from livia.store import amphorae as store

_RULE = AMPHORA.rule_word


class _Amphorae:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.deps = api.deps

    def enforce(self, request: falcon.Request, action: str) -> None:
        """Raise the 403. Policy is asked about the caller's own project (contract 80, section 2)."""
        caller = request.context.caller
        self.api.enforce(caller, _RULE, action, caller.project_id)

    def found(self, request: falcon.Request, object_id: str, action: str) -> str:
        """The id of an amphora that something is asked of. Raises the 404 and then the 403, of its owner's project."""
        amphora_id = clean(object_id)
        place = amphorae.place_of(self.deps, amphora_id)
        self.api.enforce(request.context.caller, _RULE, action, place.project_id)
        return amphora_id


class Amphorae(_Amphorae):
    """GET lists those of every project."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._responder = Responder(api, AMPHORA, store.VIEW)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        question = self._responder.question(request)
        self.enforce(request, "get_all")
        self._responder.send_list(request, response, question, self._responder.page(question))


class Amphora(_Amphorae):
    """GET shows, DELETE deletes one that has failed."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._responder = Responder(api, AMPHORA, store.VIEW)

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        shown = self._responder.stored(clean(object_id), "amphora")
        self.enforce(request, "get_one")
        send(response, {AMPHORA.item: query.only(shown, query.fields_of(request))})

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        self.enforce(request, "delete")
        amphorae.delete(self.deps, request.context.caller, clean(object_id))
        response.status = falcon.HTTP_204


class Statistics(_Amphorae):
    """GET …/stats: its counters, listener by listener."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        self.enforce(request, "get_stats")
        with self.deps.database.read() as connection:
            found = store.statistics(connection, clean(object_id))
        if not found:
            raise Refused(404, f"Amphora stats for {object_id} not found.")
        send(response, {"amphora_stats": found})


class Config(_Amphorae):
    """PUT …/config: its agent is told everything anew. A body is ignored."""

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        amphora_id = self.found(request, object_id, "put_config")
        amphorae.configure(self.deps, request.context.caller, amphora_id)
        response.status = falcon.HTTP_202


class Failover(_Amphorae):
    """PUT …/failover: another takes its place. A body is ignored."""

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        amphora_id = self.found(request, object_id, "put_failover")
        amphorae.failover(self.deps, request.context.caller, amphora_id)
        response.status = falcon.HTTP_202
