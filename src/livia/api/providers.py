"""Providers over HTTP (contract 60, section 6)."""

from collections.abc import Callable
from typing import Any

import falcon

from livia.api import query
from livia.api.objects import Api, send
from livia.core.rules.offers import Capability
from livia.services import providers
from livia.services.context import Deps


class Providers:
    """GET lists the enabled ones. They are few: there are no pages, and filters are ignored."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        caller = request.context.caller
        self._api.enforce(caller, "provider", "get_all", caller.project_id)
        found = providers.listed(self._api.deps)
        send(response, {"providers": [query.only(each, query.fields_of(request)) for each in found]})


class Capabilities:
    """GET lists what one provider's flavors, or availability zones, can say."""

    def __init__(self, api: Api, *, name: str, rule: str, find: Callable[[Deps, str], tuple[Capability, ...]]) -> None:
        self._api = api
        self._name = name
        self._rule = rule
        self._find = find

    def on_get(self, request: falcon.Request, response: falcon.Response, provider: str) -> None:
        caller = request.context.caller
        self._api.enforce(caller, self._rule, "get_all", caller.project_id)
        found: list[dict[str, Any]] = [
            {"name": each.name, "description": each.description} for each in self._find(self._api.deps, provider)
        ]
        for name, value in query.parameters(request):
            if name in ("name", "description"):
                found = [each for each in found if each[name] == value]
        send(response, {self._name: [query.only(each, query.fields_of(request)) for each in found]})


class NotAllowed:
    """What there is no method for (contract 60, section 6)."""
