"""Cross-origin resource sharing: which pages browsers let use the API (Fetch standard, section 3.3; contract 00)."""

from typing import Any

import falcon

from livia.services.settings import CorsSettings

#: headers of requests that need no permission
_SIMPLE_HEADERS = frozenset(
    {
        "accept",
        "accept-language",
        "cache-control",
        "content-language",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    }
)
_ANY = "*"


class Cors:
    """Answers preflights, and tells browsers which answers a page may see."""

    def __init__(self, settings: CorsSettings) -> None:
        self._settings = settings
        self._headers = _SIMPLE_HEADERS | {name.lower() for name in settings.allow_headers}

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """A preflight is answered here: it never has credentials."""
        wanted = request.env.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if request.method != "OPTIONS" or wanted is None or "HTTP_ORIGIN" not in request.env:
            return
        response.complete = True
        response.set_header("Content-Length", "0")
        headers = request.env.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        names = [name.strip() for name in headers.split(",") if name.strip()]
        if wanted not in self._settings.allow_methods or any(name.lower() not in self._headers for name in names):
            return
        if self._allowed(request) is not None:
            response.set_header("Access-Control-Allow-Methods", wanted)
            response.set_header("Access-Control-Max-Age", str(self._settings.max_age))
            if names:
                response.set_header("Access-Control-Allow-Headers", ",".join(names))

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: Any, _succeeded: bool
    ) -> None:
        """Runs for every answer, errors too."""
        if _ANY not in self._settings.allowed_origin:
            # What one origin may see, a cache must not give to another.
            response.append_header("Vary", "Origin")
        allowed = self._allowed(request)
        if allowed is None:
            return
        response.set_header("Access-Control-Allow-Origin", allowed)
        if self._settings.allow_credentials and allowed != _ANY:
            response.set_header("Access-Control-Allow-Credentials", "true")
        if request.method != "OPTIONS" and self._settings.expose_headers:
            response.set_header("Access-Control-Expose-Headers", ",".join(self._settings.expose_headers))

    def _allowed(self, request: falcon.Request) -> str | None:
        """What the request's origin is answered with; None: it may see nothing, or asked for nothing."""
        origin = request.env.get("HTTP_ORIGIN")
        if origin is None:
            return None
        if origin in self._settings.allowed_origin:
            return str(origin)
        return _ANY if _ANY in self._settings.allowed_origin else None
