"""GET …/loadbalancers/{id}/events: the reasons behind statuses. Ours (design, section 5)."""

import re

import falcon
from msgspec.structs import replace

from livia.api import query
from livia.api.objects import Api, Responder, clean
from livia.api.wire.event import EVENT
from livia.api.wire.load_balancer import LOAD_BALANCER
from livia.services.change import place_of
from livia.services.context import Refused
from livia.store import events
from livia.store.view import Page

#: events are numbered, other objects have UUIDs; no database has a greater number than 18 digits
_NUMBER = re.compile(r"[0-9]{1,18}")


class Events:
    """The events of one load balancer, oldest first, with filters, order and pages as every list."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._responder = Responder(api, EVENT, events.VIEW)

    def on_get(self, request: falcon.Request, response: falcon.Response, object_id: str) -> None:
        question = self._responder.question(request)
        place = place_of(self._api.deps, "load_balancer", clean(object_id))
        self._api.enforce(request.context.caller, LOAD_BALANCER.item, "get_one", place.project_id)
        if question.page is not None:
            question = _of(place.id, question, question.page)
        self._responder.send_list(request, response, question, self._responder.page(question))


def _of(load_balancer_id: str, question: query.Question, page: Page) -> query.Question:
    if page.marker is not None and not _NUMBER.fullmatch(page.marker):
        raise Refused(400, f"Supplied pagination marker '{page.marker}' is not valid.")
    return replace(question, page=replace(page, where=(*page.where, ("load_balancer_id", load_balancer_id))))
