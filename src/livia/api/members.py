"""Members over HTTP, below their pool (contract 30, part B): what they have beyond other children."""

from typing import Any

import falcon

from livia.api import body, query
from livia.api.nested import Child, Children
from livia.api.objects import Api, clean
from livia.api.wire.attribute import Null, Reader
from livia.api.wire.member import MEMBER
from livia.services import members
from livia.services.change import place_of
from livia.store import members as store

CHILD = Child(
    resource=MEMBER,
    view=store.VIEW,
    kind="member",
    column="pool_id",
    parent=lambda deps, pool_id: place_of(deps, "pool", pool_id),
    place=members.place_in_pool,
    create=members.create,
    update=members.update,
    delete=members.delete,
)


class Members(Children):
    """The members of a pool; PUT replaces them all."""

    def __init__(self, api: Api) -> None:
        super().__init__(api, CHILD)
        self._reader = Reader(MEMBER, "create")

    def on_put(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        additive = query.is_true(query.refuse_unknown(request, ("additive_only",)).get("additive_only"))
        wanted = self._batch(body.wrapped(request, "members_", "members"))
        place = place_of(self.deps, "pool", clean(object_id))
        caller = request.context.caller
        for action in ("post", "put", *(() if additive else ("delete",))):
            self.enforce(request, action, place.project_id)
        members.replace_all(self.deps, caller, place.id, wanted, additive=additive)
        response.status = falcon.HTTP_202

    def _batch(self, value: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        given = self._reader.all_given(value, "members_.members")
        return [(_set(each), self._reader.complete(each, self.deps.settings)) for each in given]


def _set(given: dict[str, Any]) -> dict[str, Any]:
    """What a member of a batch sets: a null that means the default leaves an existing member as it is."""
    return {name: value for name, value in given.items() if value is not Null.DEFAULT}
