"""Quotas over HTTP (contract 60, section 1)."""

from typing import Any

import falcon
from msgspec.structs import replace

from livia.api import query
from livia.api.objects import Api, Responder, clean, scoped, send
from livia.api.wire.kinds import Text
from livia.api.wire.quota import QUOTA, SPELLINGS
from livia.services import quotas
from livia.services.context import Refused
from livia.store import quotas as store

_RULE = QUOTA.rule_word
#: the project that clients ask for to see the defaults
_DEFAULTS = "defaults"


class _Quotas:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.deps = api.deps
        self.responder = Responder(api, QUOTA, store.view(quotas.defaults(api.deps.settings)))

    def shown(self, project_id: str) -> dict[str, Any]:
        """The limits in force for a project, which may never have been heard of."""
        with self.deps.database.read() as connection:
            row = self.responder.view.one(connection, project_id)
        return self.defaults(project_id) if row is None else self.responder.shape.object(row)

    def defaults(self, project_id: str) -> dict[str, Any]:
        """The limits that the deployment has for a project without its own."""
        values = {**quotas.defaults(self.deps.settings), "project_id": project_id}
        return self.responder.shape.object(values[name] for name in self.responder.view.names)


class Quotas(_Quotas):
    """GET lists the projects that have a row."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        asked = replace(self.responder.question(request), fields=None)
        question = scoped(self.api, request.context.caller, _RULE, asked)
        self.responder.send_list(request, response, question, self.responder.page(question))

    def on_put(self, _request: falcon.Request, _response: falcon.Response) -> None:
        raise Refused(400, 'Missing argument: "project_id"')

    def on_delete(self, _request: falcon.Request, _response: falcon.Response) -> None:
        raise Refused(400, 'Missing argument: "project_id"')


class Quota(_Quotas):
    """GET shows, PUT sets, DELETE resets the limits of one project."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        caller = request.context.caller
        # Whoever may read quotas may read what everybody starts with.
        target = caller.project_id if object_id == _DEFAULTS else clean(object_id)
        self.api.enforce(caller, _RULE, "get_one", target)
        send(response, {QUOTA.item: self.shown(clean(object_id))})

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        changes = self.responder.changes(request)
        # The spelling without separator comes last, and wins.
        limits = {SPELLINGS.get(name, name): changes[name] for name in sorted(changes, key=SPELLINGS.__contains__)}
        caller, project_id = request.context.caller, _project(object_id)
        self.api.enforce(caller, _RULE, "put", project_id)
        quotas.put(self.deps, project_id, limits)
        send(response, {QUOTA.item: self.shown(project_id)}, falcon.HTTP_202)

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        caller, project_id = request.context.caller, _project(object_id)
        self.api.enforce(caller, _RULE, "delete", project_id)
        quotas.reset(self.deps, project_id)
        response.status = falcon.HTTP_202


class Defaults(_Quotas):
    """GET shows what a project without its own limits may have."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        project_id = clean(object_id)
        self.api.enforce(request.context.caller, _RULE, "get_defaults", project_id)
        send(response, {QUOTA.item: self.defaults(project_id)})


def _project(text: str) -> str:
    """The project of a URL that is written to. Raises the 400 of one that no row can hold."""
    try:
        return Text(36).convert(clean(text))
    except ValueError as error:
        raise Refused(400, f"Invalid input for field/attribute project_id. Value: '{text}'. {error}") from error
