"""`/metrics` of the controller's services: an address of their own, which is none of the API's (docs/metrics.md)."""

import time
from threading import Thread

import structlog
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, start_http_server

from livia.ops.settings import LiviaSettings
from livia.store.engine import Database

log = structlog.get_logger()

#: a service's distance from `[livia] metrics_port`
OFFSETS = {"api": 0, "worker": 1, "health": 2, "house": 3, "canary": 4}

#: seconds between two tries to listen: an earlier life of the service may still be at its end
_PAUSE = 2.0


def registry_of(database: Database) -> CollectorRegistry:
    """A registry with what every service tells: of its process, and of errors of its database."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    errors = Counter(
        "livia_database_errors",
        "Statements and connections that failed, by kind: lost_race (tried again), disconnected, other.",
        ["kind"],
        registry=registry,
    )
    for kind in ("lost_race", "disconnected", "other"):
        errors.labels(kind)
    database.on_error(lambda kind: errors.labels(kind).inc())
    return registry


def publish(service: str, registry: CollectorRegistry, settings: LiviaSettings) -> None:
    """Answer scrapes as long as this process lives. A service whose port is taken works all the same."""
    if settings.metrics_port:
        port = settings.metrics_port + OFFSETS[service]
        Thread(target=_listen, args=(settings.metrics_host, port, registry), name="metrics", daemon=True).start()


def _listen(host: str, port: int, registry: CollectorRegistry) -> None:
    told = False
    while True:
        try:
            start_http_server(port, host, registry)
        except OSError as error:
            if not told:
                log.warning("no metrics: set [livia] metrics_port", address=f"{host}:{port}", error=str(error))
            told = True
            time.sleep(_PAUSE)
        else:
            return
