"""What a request may ask of any write beyond the contract: `dry_run`, `If-Match`, `Idempotency-Key`.

The router puts it around the responders, so that a new resource has it without a line of its own. A request that
asks for none of it goes straight to its responder. (docs/extensions.md)
"""

from typing import Any
from urllib.parse import urlencode

import falcon
from falcon.routing import CompiledRouter
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.exc import IntegrityError

from livia.api import body, query
from livia.api.errors import JSON
from livia.api.etags import Condition, Responder, tagged
from livia.core.drivers import DriverError
from livia.services import idempotency
from livia.services.context import Deps, Refused
from livia.services.idempotency import Key
from livia.store.idempotency import Answered

_WRITES = ("POST", "PUT", "DELETE")
_BOOLEANS = {**dict.fromkeys(("true", "1", "yes", "on"), True), **dict.fromkeys(("false", "0", "no", "off"), False)}


class Router(CompiledRouter):
    """Routes whose responders below `/lbaas/` and `/octavia/` understand the extensions."""

    def __init__(self, deps: Deps) -> None:
        super().__init__()
        self._deps = deps

    def add_route(self, uri_template: str, resource: object, **kwargs: Any) -> None:
        """A path that ends in an id is a single object's, which has an ETag."""
        ours = uri_template.startswith(("/lbaas/", "/octavia/"))
        super().add_route(uri_template, resource, extended=ours, single=uri_template.endswith("}"), **kwargs)

    def map_http_methods(self, resource: object, **kwargs: Any) -> Any:
        responders: dict[str, Any] = dict(super().map_http_methods(resource, **kwargs))
        if not kwargs["extended"]:
            return responders
        show = responders.get("GET") if kwargs["single"] else None
        for method in _WRITES:
            if method in responders:
                responders[method] = Write(self._deps, method, responders[method], show).respond
        if show is not None:
            responders["GET"] = tagged(show)
        return responders


class Terms(Struct, frozen=True):
    """What one request asks for."""

    dry_run: bool
    condition: Condition | None
    key: Key | None


class Write:
    """A responder that changes something. `show`: the `on_get` of the object it changes."""

    def __init__(self, deps: Deps, method: str, responder: Responder, show: Responder | None) -> None:
        self._deps = deps
        self._method = method
        self._responder = responder
        self._show = show

    def respond(self, request: falcon.Request, response: falcon.Response, **params: Any) -> None:
        """What falcon calls."""
        environ = request.env
        if not (request.query_string or "HTTP_IF_MATCH" in environ or "HTTP_IDEMPOTENCY_KEY" in environ):
            self._responder(request, response, **params)
            return
        terms = self._terms(request)
        if not terms.dry_run and terms.condition is None and terms.key is None:
            self._responder(request, response, **params)
            return
        try:
            self._in_a_unit(terms, request, response, params)
        except (Refused, DriverError, IntegrityError):
            # Perhaps refused because the same request was done a moment ago.
            if not self._answered(terms.key, response):
                raise

    def _in_a_unit(
        self, terms: Terms, request: falcon.Request, response: falcon.Response, params: dict[str, Any]
    ) -> None:
        if self._answered(terms.key, response):
            return
        if terms.dry_run:
            request.context.caller = replace(request.context.caller, dry_run=True)

        def act() -> None:
            self._responder(request, response, **params)
            if terms.condition is not None:
                terms.condition.require(self._deps.database, request, params)
                terms.condition.tell(request, response, params)
            if terms.key is not None:
                idempotency.keep(self._deps, terms.key, response.status_code, response.data or b"")

        self._deps.database.together(act, keep=not terms.dry_run)

    def _terms(self, request: falcon.Request) -> Terms:
        """Read the extensions, and take out of the query what the responder does not know. Raises `Refused`."""
        dry_run = _take_dry_run(request)
        condition = request.env.get("HTTP_IF_MATCH")
        text = request.env.get("HTTP_IDEMPOTENCY_KEY") if self._method == "POST" else None
        key = None
        if text is not None:
            what = (self._method, request.path, request.query_string)
            sent = *(part.encode("utf-8", "surrogateescape") for part in what), body.read(request)
            key = idempotency.key(request.context.caller, text, *sent)
        return Terms(dry_run, None if condition is None else Condition(condition, self._show), key)

    def _answered(self, key: Key | None, response: falcon.Response) -> bool:
        """Answer as before, if there is a before."""
        found: Answered | None = None if key is None else idempotency.answered(self._deps, key)
        if found is None:
            return False
        response.status = found.status
        response.set_header("Idempotency-Replayed", "true")
        if found.body:
            response.content_type = JSON
            response.data = found.body
        return True


def _take_dry_run(request: falcon.Request) -> bool:
    """Whether the query asks for a dry run. Raises the 400 of a value that is not clear about it."""
    pairs = query.parameters(request)
    values = [value for name, value in pairs if name == "dry_run"]
    if not values:
        return False
    for value in values:
        if value.lower() not in _BOOLEANS:
            raise Refused(400, f"Invalid input for field/attribute dry_run. Value: '{value}'. Value should be boolean")
    request.query_string = urlencode([pair for pair in pairs if pair[0] != "dry_run"])
    return any(_BOOLEANS[value.lower()] for value in values)
