"""`/openapi.json`: the API in a form that programs read."""

import falcon
import msgspec

from livia.api.discovery import base
from livia.api.errors import JSON
from livia.services.settings import ApiSettings


class Description:
    """GET: the OpenAPI document. Nobody has to authenticate, as for discovery: it tells what is in the manual."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings
        self._encoded: bytes | None = None

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        if self._encoded is None:
            # Made, and its makers loaded, when first asked for: the service starts without it.
            from livia.api.openapi import document

            self._encoded = msgspec.json.encode(document(self._settings))
        href = base(request, self._settings) + request.context.path.rpartition("/")[0]
        response.content_type = JSON
        response.data = b'{"servers":%b,%b' % (msgspec.json.encode([{"url": href}]), self._encoded[1:])
