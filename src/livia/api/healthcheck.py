"""`/healthcheck`: whether this process can serve (contract 00, section 16)."""

import gc
import html
import platform
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import falcon
import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from livia.api.errors import JSON
from livia.services.context import Deps
from livia.services.settings import HealthcheckSettings
from livia.store.engine import Database

log = structlog.get_logger()

_TEXT = "text/plain"
_HTML = "text/html"
_OK = "OK"
_DISABLED = "DISABLED BY FILE"


class Result(Struct, frozen=True, kw_only=True):
    """What one check found, as the detailed answer shows it: `check` is its name in [healthcheck] backends."""

    check: str
    healthy: bool
    reason: str
    details: str = ""


class BackendError(Exception):
    """[healthcheck] cannot be used; the message is a sentence."""


def checks_of(settings: HealthcheckSettings, database: Database) -> list[Callable[[int], Result]]:
    """What `backends` names; a check is told the port that was asked. Raises BackendError."""
    known: dict[str, Callable[[int], Result]] = {
        "octavia_db_check": lambda _port: _database(database),
        "disable_by_file": lambda _port: _file("disable_by_file", settings.disable_by_file_path),
        "disable_by_files_ports": lambda port: _file("disable_by_files_ports", paths.get(port, "")),
    }
    paths: dict[int, str] = {}
    for entry in settings.disable_by_file_paths:
        port, colon, path = entry.partition(":")
        if not colon or not port.isdigit():
            raise BackendError(f"[healthcheck] disable_by_file_paths: {entry!r} is not of the form port:path.")
        paths[int(port)] = path
    for name in settings.backends:
        if name not in known:
            raise BackendError(f"[healthcheck] backends: {name!r} is none of {', '.join(known)}.")
    return [known[name] for name in settings.backends]


def _database(database: Database) -> Result:
    try:
        with database.read() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        log.error("health check failed", error=str(error))
        reason = "The Octavia database is unavailable"
        return Result(check="octavia_db_check", healthy=False, reason=reason, details=type(error).__name__)
    return Result(check="octavia_db_check", healthy=True, reason=_OK)


def _file(check: str, path: str) -> Result:
    if path and Path(path).exists():
        return Result(check=check, healthy=False, reason=_DISABLED, details=f"The file {path} exists.")
    return Result(check=check, healthy=True, reason=_OK)


class Healthcheck:
    """Runs the checks, at most once in `healthcheck_refresh_interval` seconds."""

    def __init__(self, deps: Deps, settings: HealthcheckSettings) -> None:
        self._clock = deps.clock
        self._interval = deps.settings.healthcheck_refresh_interval
        self._enabled = deps.settings.healthcheck_enabled
        self._detailed = settings.detailed
        self._checks = checks_of(settings, deps.database)
        self._asked: float | None = None
        self._results: list[Result] = []

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        if not self._enabled:
            _plain(response, falcon.HTTP_404, "")
            return
        results = self._run(request.port)
        status = falcon.HTTP_200 if all(each.healthy for each in results) else falcon.HTTP_503
        kind = request.client_prefers((_TEXT, JSON, _HTML))
        if kind == JSON:
            response.status = status
            response.content_type = JSON
            response.data = msgspec.json.encode(self._object(results))
        elif kind == _HTML:
            _page(response, status, results)
        elif kind is None:
            _plain(response, falcon.HTTP_406, f"{_TEXT}, {JSON} or {_HTML}")
        elif results:
            _plain(response, status, "\n".join(each.reason for each in results))
        else:
            response.status = falcon.HTTP_204

    def on_head(self, request: falcon.Request, response: falcon.Response) -> None:
        if not self._enabled:
            response.status = falcon.HTTP_404
        else:
            healthy = all(each.healthy for each in self._run(request.port))
            response.status = falcon.HTTP_204 if healthy else falcon.HTTP_503

    def on_post(self, _request: falcon.Request, response: falcon.Response) -> None:
        _plain(response, falcon.HTTP_405 if self._enabled else falcon.HTTP_404, "")

    on_put = on_delete = on_patch = on_post

    def _run(self, port: int) -> list[Result]:
        now = self._clock.monotonic()
        if self._asked is None or now - self._asked >= self._interval:
            self._results = [check(port) for check in self._checks]
            self._asked = now
        return self._results

    def _object(self, results: Sequence[Result]) -> dict[str, Any]:
        if not self._detailed:
            return {"detailed": False, "reasons": [each.reason for each in results]}
        shown = [{"class": each.check, "details": each.details, "reason": each.reason} for each in results]
        return {"detailed": True, "reasons": shown, **_process()}


def _process() -> dict[str, Any]:
    """What the detailed answer says of this process."""
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "gc": {"counts": gc.get_count(), "threshold": gc.get_threshold()},
        "threads": sorted(each.name for each in threading.enumerate()),
    }


def _plain(response: falcon.Response, status: str, body: str) -> None:
    response.status = status
    response.content_type = _TEXT
    response.text = body


def _page(response: falcon.Response, status: str, results: Sequence[Result]) -> None:
    rows = "".join(
        f"<tr><td>{html.escape(each.check)}</td><td>{html.escape(each.reason)}</td></tr>" for each in results
    )
    response.status = status
    response.content_type = _HTML
    response.text = (
        "<!DOCTYPE html><html><head><title>Healthcheck Status</title></head>"
        f"<body><h2>Result of {len(results)} checks:</h2><table>{rows}</table></body></html>"
    )
