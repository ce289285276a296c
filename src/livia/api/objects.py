"""Collections and items of any resource: the same few lines for all, driven by their definitions."""

from collections.abc import Callable, Mapping
from typing import Any

import falcon
import msgspec
from msgspec import Struct

from livia.api import body, policy, query
from livia.api.discovery import base
from livia.api.errors import JSON
from livia.api.wire.attribute import Reader, Resource
from livia.api.wire.shown import Shape
from livia.core.rules.state import not_found
from livia.services.change import place_of
from livia.services.context import Context, Deps, Refused, refuse
from livia.store.objects import Place
from livia.store.view import MarkerError, View

_encode = msgspec.json.encode


class Definition(Struct, frozen=True, kw_only=True):
    """What the API needs to know of a resource. `kind` is its name in the store; `create` returns the new key.

    `parent`: where a new object with these values would belong (raises 404 and 400). None: the resource belongs to
    no load balancer, and policy is asked about the caller's own project before anything is looked up (contract 80,
    section 2).
    """

    resource: Resource
    view: View
    kind: str
    create: Callable[[Deps, Context, Mapping[str, Any]], str]
    update: Callable[[Deps, Context, str, Mapping[str, Any]], None]
    delete: Callable[[Deps, Context, str], None]
    parent: Callable[[Deps, Mapping[str, Any]], Place] | None = None


class Api(Struct, frozen=True):
    """What every responder works with."""

    deps: Deps
    policy: policy.Policy

    def enforce(self, context: Context, resource: str, action: str, project_id: str | None) -> None:
        """Raise the 403 of a denied operation."""
        policy.enforce(self.policy, context, policy.rule(resource, action), project_id)


class Responder:
    """What collections and items of a resource share."""

    def __init__(self, api: Api, resource: Resource, view: View) -> None:
        self.api = api
        self.deps = api.deps
        self.resource = resource
        self.view = view
        self.shape = Shape(resource, view.names)
        self._creating = Reader(resource, "create")
        self._updating = Reader(resource, "update")
        self._path = f"{resource.argument}.{resource.item}"
        self._lists = query.Lists(resource, api.deps.settings)

    def given_to_create(self, request: falcon.Request) -> dict[str, Any]:
        """What a POST sets."""
        value = body.wrapped(request, self.resource.argument, self.resource.item)
        return self._creating.given(value, self._path)

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The same with defaults."""
        return self._creating.complete(given, self.deps.settings)

    def changes(self, request: falcon.Request) -> dict[str, Any]:
        """What a PUT changes."""
        argument = self.resource.update_argument or self.resource.argument
        value = body.wrapped(request, argument, self.resource.item)
        given = self._updating.given(value, f"{argument}.{self.resource.item}")
        return self._updating.changes(given, self.deps.settings)

    def stored(self, object_id: str, kind: str) -> dict[str, Any]:
        """The response object. Raises the 404."""
        with self.deps.database.read() as connection:
            row = self.view.one(connection, object_id)
        if row is None:
            raise refuse(not_found(kind, object_id))
        return self.shape.object(row)

    def question(self, request: falcon.Request) -> query.Question:
        """What a list request asks for."""
        return self._lists.question(request)

    def page(self, question: query.Question) -> list[dict[str, Any]]:
        """The objects of a page."""
        if question.page is None:
            return []
        with self.deps.database.read() as connection:
            try:
                rows = self.view.page(connection, question.page)
            except MarkerError as error:
                raise Refused(400, f"Supplied pagination marker '{error}' is not valid.") from error
        return self.shape.objects(rows)

    def send_list(
        self,
        request: falcon.Request,
        response: falcon.Response,
        question: query.Question,
        found: list[dict[str, Any]],
    ) -> None:
        """Answer with a page and its links."""
        settings = self.deps.settings
        path = request.context.path.rstrip("/")
        href = f"{settings.api_base_uri.rstrip('/')}{path}" if settings.api_base_uri else base(request, settings) + path
        resource = self.resource
        links = query.links(href, question, [each[resource.key] for each in found])
        if question.fields is not None:
            found = [query.only(each, question.fields) for each in found]
        names = (f"{resource.collection}_links", *resource.more_links)
        send(response, {resource.collection: found, **dict.fromkeys(names, links)})


class Collection:
    """GET lists, POST creates."""

    def __init__(self, api: Api, definition: Definition) -> None:
        self.api = api
        self.definition = definition
        self.responder = Responder(api, definition.resource, definition.view)

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        responder = self.responder
        question = self.scope(request.context.caller, responder.question(request))
        responder.send_list(request, response, question, responder.page(question))

    def scope(self, caller: Context, question: query.Question) -> query.Question:
        """The question, of what its caller may see. Raises the 403."""
        rule_word = self.definition.resource.rule_word
        if self.definition.parent is None:
            self.api.enforce(caller, rule_word, "get_all", caller.project_id)
            return question
        return scoped(self.api, caller, rule_word, question)

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        query.refuse_unknown(request)
        responder, definition = self.responder, self.definition
        values = responder.complete(responder.given_to_create(request))
        caller = request.context.caller
        parent = definition.parent
        project_id = caller.project_id if parent is None else parent(self.api.deps, values).project_id
        self.api.enforce(caller, definition.resource.rule_word, "post", project_id)
        object_id = definition.create(self.api.deps, caller, values)
        shown = responder.stored(object_id, definition.kind)
        send(response, {definition.resource.item: shown}, falcon.HTTP_201)

    def on_put(self, _request: falcon.Request, _response: falcon.Response) -> None:
        raise self._missing_key()

    def on_delete(self, _request: falcon.Request, _response: falcon.Response) -> None:
        raise self._missing_key()

    def _missing_key(self) -> Refused:
        return Refused(400, f'Missing argument: "{self.definition.resource.key}"')


class Item:
    """GET shows, PUT changes, DELETE deletes."""

    def __init__(self, api: Api, definition: Definition) -> None:
        self.api = api
        self.definition = definition
        self.responder = Responder(api, definition.resource, definition.view)

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        resource, kind, caller = self.definition.resource, self.definition.kind, request.context.caller
        if self.definition.parent is None:
            self.api.enforce(caller, resource.rule_word, "get_one", caller.project_id)
            shown = self.responder.stored(clean(object_id), kind)
        else:
            # Its project is shown anyway: one statement for both.
            shown = self.responder.stored(clean(object_id), kind)
            self.api.enforce(caller, resource.rule_word, "get_one", shown["project_id"])
        send(response, {resource.item: query.only(shown, query.fields_of(request))})

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        definition = self.definition
        changes = self.responder.changes(request)
        caller = request.context.caller
        object_id, project_id = self.target(caller, object_id)
        self.enforce_update(caller, project_id, changes)
        definition.update(self.api.deps, caller, object_id, changes)
        shown = self.responder.stored(object_id, definition.kind)
        send(response, {definition.resource.item: shown})

    def target(self, caller: Context, object_id: str) -> tuple[str, str | None]:
        """The key of what a URL names, and the project that policy is asked about. Raises the 404."""
        if self.definition.parent is None:
            return clean(object_id), caller.project_id
        place = place_of(self.api.deps, self.definition.kind, clean(object_id))
        return place.id, place.project_id

    def enforce_update(self, caller: Context, project_id: str | None, _changes: Mapping[str, Any]) -> None:
        """Raise the 403 of a PUT."""
        self.api.enforce(caller, self.definition.resource.rule_word, "put", project_id)

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        definition = self.definition
        caller = request.context.caller
        object_id, project_id = self.target(caller, object_id)
        self.api.enforce(caller, definition.resource.rule_word, "delete", project_id)
        definition.delete(self.api.deps, caller, object_id)
        response.status = falcon.HTTP_204

    def on_post(self, _request: falcon.Request, _response: falcon.Response, object_id: str) -> None:
        raise Refused(400, f'Unknown argument: "{object_id}"')


def send(response: falcon.Response, value: Any, status: str = falcon.HTTP_200) -> None:
    """Answer with JSON."""
    response.status = status
    response.content_type = JSON
    response.data = _encode(value)


def clean(object_id: str) -> str:
    """An id or name of a URL, which may be anything; PostgreSQL stores no NUL character."""
    return object_id.replace("\x00", "\ufffd")


def scoped(api: Api, context: Context, resource: str, question: query.Question) -> query.Question:
    """A list question that sees only what its caller may see (contract 00, section 10.1)."""
    asked = None if question.page is None else dict(question.page.where).get("project_id")
    if api.policy.allows(context, policy.rule(resource, "get_all-global"), asked):
        return question
    own = context.project_id
    if own is None or (asked is not None and asked != own):
        raise policy.forbidden()
    api.enforce(context, resource, "get_all", own)
    if question.page is None or asked is not None:
        return question
    page = msgspec.structs.replace(question.page, where=(*question.page.where, ("project_id", own)))
    return msgspec.structs.replace(question, page=page)
