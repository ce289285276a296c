"""Collections and items below a parent: members of pools, rules of L7 policies."""

from collections.abc import Callable, Mapping
from typing import Any

import falcon
from msgspec import Struct
from msgspec.structs import replace

from livia.api import query
from livia.api.objects import Api, Responder, clean, send
from livia.api.wire.attribute import Resource
from livia.services.context import Context, Deps, Refused
from livia.store.objects import Place
from livia.store.view import Page, View


class Child(Struct, frozen=True, kw_only=True):
    """What the API needs to know of such a resource. `kind`: its name in the store.

    `parent`: where the parent of an id belongs; `column`: the view's name of the parent's id; `place`: where an
    object of this parent belongs. Both raise the 404, the latter also the parent's.
    """

    resource: Resource
    view: View
    kind: str
    column: str
    parent: Callable[[Deps, str], Place]
    place: Callable[[Deps, str, str], Place]
    create: Callable[[Deps, Context, str, Mapping[str, Any]], str]
    update: Callable[[Deps, Context, str, str, Mapping[str, Any]], None]
    delete: Callable[[Deps, Context, str, str], None]


class _Children:
    def __init__(self, api: Api, child: Child) -> None:
        self.api = api
        self.deps = api.deps
        self.child = child
        self.responder = Responder(api, child.resource, child.view)

    def enforce(self, request: falcon.Request, action: str, project_id: str | None) -> Context:
        """Raise the 403. The caller."""
        caller: Context = request.context.caller
        self.api.enforce(caller, self.child.resource.rule_word, action, project_id)
        return caller


class Children(_Children):
    """What one parent has."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        parent_id = clean(object_id)
        question = self.responder.question(request)
        if question.page is not None:
            question = replace(question, page=_of_parent(question.page, self.child.column, parent_id))
        found = self.responder.page(question)
        # A child's project is its parent's: only an empty page leaves the parent to be asked for.
        project_id = found[0]["project_id"] if found else self.child.parent(self.deps, parent_id).project_id
        self.enforce(request, "get_all", project_id)
        self.responder.send_list(request, response, question, found)

    def on_post(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        child = self.child
        values = self.responder.complete(self.responder.given_to_create(request))
        parent = child.parent(self.deps, clean(object_id))
        caller = self.enforce(request, "post", parent.project_id)
        child_id = child.create(self.deps, caller, parent.id, values)
        send(response, {child.resource.item: self.responder.stored(child_id, child.kind)}, falcon.HTTP_201)

    def on_put(self, _request: falcon.Request, _response: falcon.Response, object_id: str) -> None:
        raise Refused(400, 'Missing argument: "id"')

    def on_delete(self, _request: falcon.Request, _response: falcon.Response, object_id: str) -> None:
        raise Refused(400, 'Missing argument: "id"')


class ChildItem(_Children):
    """One of them."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str, child_id: str) -> None:
        place = self.child.place(self.deps, clean(object_id), clean(child_id))
        self.enforce(request, "get_one", place.project_id)
        shown = self.responder.stored(place.id, self.child.kind)
        send(response, {self.child.resource.item: query.only(shown, query.fields_of(request))})

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str, child_id: str) -> None:
        query.refuse_unknown(request)
        child = self.child
        changes = self.responder.changes(request)
        place = child.place(self.deps, clean(object_id), clean(child_id))
        caller = self.enforce(request, "put", place.project_id)
        child.update(self.deps, caller, clean(object_id), place.id, changes)
        send(response, {child.resource.item: self.responder.stored(place.id, child.kind)})

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str, child_id: str) -> None:
        query.refuse_unknown(request)
        place = self.child.place(self.deps, clean(object_id), clean(child_id))
        caller = self.enforce(request, "delete", place.project_id)
        self.child.delete(self.deps, caller, clean(object_id), place.id)
        response.status = falcon.HTTP_204

    def on_post(self, _request: falcon.Request, _response: falcon.Response, object_id: str, child_id: str) -> None:
        raise Refused(400, f'Unknown argument: "{child_id}"')


def _of_parent(page: Page, column: str, parent_id: str) -> Page | None:
    """The page of this parent's children; None when a filter asks for another's."""
    if any(name == column and value != parent_id for name, value in page.where):
        return None
    return replace(page, where=(*(pair for pair in page.where if pair[0] != column), (column, parent_id)))
