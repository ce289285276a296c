"""Members over HTTP, below their pool (contract 30, part B)."""

from typing import Any

import falcon
from msgspec.structs import replace

from livia.api import body, query
from livia.api.objects import Api, Responder, clean, send
from livia.api.wire.attribute import InvalidBody, Null, Reader
from livia.api.wire.member import MEMBER
from livia.services import members
from livia.services.change import place_of
from livia.services.context import Refused
from livia.store import members as store
from livia.store.view import Page

_ITEM = MEMBER.item


class _Members:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.deps = api.deps
        self.responder = Responder(api, MEMBER, store.VIEW)


class Members(_Members):
    """The members of a pool; PUT replaces them all."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self._reader = Reader(MEMBER, "create")

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        pool_id = clean(object_id)
        question = self.responder.question(request)
        if question.page is not None:
            question = _in_pool(question, question.page, pool_id)
        found = self.responder.page(question)
        # A member's project is its pool's: only an empty page leaves the pool to be asked for.
        project_id = found[0]["project_id"] if found else place_of(self.deps, "pool", pool_id).project_id
        self.api.enforce(request.context.caller, _ITEM, "get_all", project_id)
        self.responder.send_list(request, response, question, found)

    def on_post(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        query.refuse_unknown(request)
        values = self.responder.complete(self.responder.given_to_create(request))
        place = place_of(self.deps, "pool", clean(object_id))
        caller = request.context.caller
        self.api.enforce(caller, _ITEM, "post", place.project_id)
        member_id = members.create(self.deps, caller, place.id, values)
        send(response, {_ITEM: self.responder.stored(member_id, "member")}, falcon.HTTP_201)

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        additive = query.is_true(query.refuse_unknown(request, ("additive_only",)).get("additive_only"))
        wanted = self._batch(body.wrapped(request, "members_", "members"))
        place = place_of(self.deps, "pool", clean(object_id))
        caller = request.context.caller
        for action in ("post", "put", *(() if additive else ("delete",))):
            self.api.enforce(caller, _ITEM, action, place.project_id)
        members.replace_all(self.deps, caller, place.id, wanted, additive=additive)
        response.status = falcon.HTTP_202

    def on_delete(self, _request: falcon.Request, _response: falcon.Response, object_id: str) -> None:
        raise Refused(400, 'Missing argument: "id"')

    def _batch(self, value: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        if not isinstance(value, list):
            raise InvalidBody(f"Invalid input for field/attribute members. Value: '{value}'. Value should be a list")
        given = [self._reader.given(each, "members_.members") for each in value]
        return [(_set(each), self._reader.complete(each, self.deps.settings)) for each in given]


class Member(_Members):
    """One member."""

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str, member_id: str) -> None:
        place = members.place_in_pool(self.deps, clean(object_id), clean(member_id))
        self.api.enforce(request.context.caller, _ITEM, "get_one", place.project_id)
        shown = self.responder.stored(place.id, "member")
        send(response, {_ITEM: query.only(shown, query.fields_of(request))})

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str, member_id: str) -> None:
        query.refuse_unknown(request)
        changes = self.responder.changes(request)
        pool = place_of(self.deps, "pool", clean(object_id))
        caller = request.context.caller
        place = members.place_in_pool(self.deps, pool.id, clean(member_id))
        self.api.enforce(caller, _ITEM, "put", place.project_id)
        members.update(self.deps, caller, pool.id, place.id, changes)
        send(response, {_ITEM: self.responder.stored(place.id, "member")})

    def on_delete(self, request: falcon.Request, response: falcon.Response, object_id: str, member_id: str) -> None:
        query.refuse_unknown(request)
        pool = place_of(self.deps, "pool", clean(object_id))
        place = members.place_in_pool(self.deps, pool.id, clean(member_id))
        caller = request.context.caller
        self.api.enforce(caller, _ITEM, "delete", place.project_id)
        members.delete(self.deps, caller, pool.id, place.id)
        response.status = falcon.HTTP_204

    def on_post(self, _request: falcon.Request, _response: falcon.Response, object_id: str, member_id: str) -> None:
        raise Refused(400, f'Unknown argument: "{member_id}"')


def _set(given: dict[str, Any]) -> dict[str, Any]:
    """What a member of a batch sets: a null that means the default leaves an existing member as it is."""
    return {name: value for name, value in given.items() if value is not Null.DEFAULT}


def _in_pool(question: query.Question, page: Page, pool_id: str) -> query.Question:
    where = (*(pair for pair in page.where if pair[0] != "pool_id"), ("pool_id", pool_id))
    return replace(question, page=replace(page, where=where))
