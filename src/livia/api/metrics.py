"""Every request is counted and timed (docs/metrics.md), and every write is a line in the log."""

from typing import Any

import falcon
import structlog
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram

from livia.core.clock import Clock

log = structlog.get_logger()

#: seconds; most answers take a few milliseconds
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})


class _Series(Struct, frozen=True):
    """What one kind of request adds to."""

    total: Counter
    seconds: Histogram


class Requests:
    """The outermost middleware: what it times includes all others, but not the wait for a body or for a turn."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        self._clock = clock
        self._total = Counter(
            "livia_api_requests",
            "Requests by method, kind of object and HTTP status.",
            ["method", "resource", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "livia_api_request_duration_seconds",
            "From the complete request to its answer, by method and kind of object.",
            ["method", "resource"],
            buckets=_DURATIONS,
            registry=registry,
        )
        # Looking up a series by its labels costs more than adding to it.
        self._known: dict[tuple[str, str, int], _Series] = {}

    def process_request(self, request: falcon.Request, _response: falcon.Response) -> None:
        """The clock starts."""
        request.context.began = self._clock.monotonic()

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: Any, _succeeded: bool
    ) -> None:
        """Count, and tell of writes."""
        elapsed = self._clock.monotonic() - request.context.began
        method = request.method if request.method in _METHODS else "other"
        key = (method, _kind(request.uri_template), response.status_code)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = _Series(self._total.labels(*key), self._seconds.labels(*key[:2]))
        series.total.inc()
        series.seconds.observe(elapsed)
        if method in ("POST", "PUT", "DELETE"):
            log.info(
                "request",
                request_id=request.context.request_id,
                method=method,
                path=request.context.path,
                status=response.status_code,
                milliseconds=round(elapsed * 1000, 1),
            )


def _kind(template: str | None) -> str:
    """The kind of object that a route is about: there are as many as there are collections, whatever is asked for."""
    parts = (template or "").split("/")
    return parts[2] if len(parts) > 2 else "other"
