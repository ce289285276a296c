"""`/healthcheck`: whether this process can serve (contract 00, section 16)."""

import falcon
import msgspec
import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from livia.api.errors import JSON
from livia.services.context import Deps

log = structlog.get_logger()

_DOWN = "The Octavia database is unavailable"


class Healthcheck:
    """Asks the database, at most once in `healthcheck_refresh_interval` seconds."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._enabled = deps.settings.healthcheck_enabled
        self._asked: float | None = None
        self._healthy = False

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        if not self._enabled:
            self._plain(response, falcon.HTTP_404, "")
            return
        reason = "OK" if self._check() else _DOWN
        status = falcon.HTTP_200 if self._healthy else falcon.HTTP_503
        if request.client_prefers(("text/plain", JSON)) == JSON:
            response.status = status
            response.content_type = JSON
            response.data = msgspec.json.encode({"detailed": False, "reasons": [reason]})
        elif request.client_accepts("text/plain"):
            self._plain(response, status, reason)
        else:
            self._plain(response, falcon.HTTP_406, "text/plain or application/json")

    def on_head(self, _request: falcon.Request, response: falcon.Response) -> None:
        if not self._enabled:
            response.status = falcon.HTTP_404
        else:
            response.status = falcon.HTTP_204 if self._check() else falcon.HTTP_503

    def on_post(self, _request: falcon.Request, response: falcon.Response) -> None:
        self._plain(response, falcon.HTTP_405 if self._enabled else falcon.HTTP_404, "")

    on_put = on_delete = on_patch = on_post

    def _check(self) -> bool:
        now = self._deps.clock.monotonic()
        if self._asked is None or now - self._asked >= self._deps.settings.healthcheck_refresh_interval:
            self._healthy = self._ask()
            self._asked = now
        return self._healthy

    def _ask(self) -> bool:
        try:
            with self._deps.database.read() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            log.error("health check failed", error=str(error))
            return False
        return True

    @staticmethod
    def _plain(response: falcon.Response, status: str, body: str) -> None:
        response.status = status
        response.content_type = "text/plain"
        response.text = body
