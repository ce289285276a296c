"""Canaries one at a time: once for whoever asks, or on a timer, counted."""

import hashlib
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event

import structlog
import urllib3
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy.exc import SQLAlchemyError

from livia.ops import metrics
from livia.ops.canary.flight import PHASES, Flight, PhaseError
from livia.ops.canary.ground import NoGroundError, prepared
from livia.ops.demo.api import Api
from livia.ops.services import Installation
from livia.store import leases
from livia.store.engine import Database

log = structlog.get_logger()

#: seconds that one may take at most: the lease of one that was killed is free then
_LEASE_SECONDS = 660.0
_KEY = "canary"
_DURATIONS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where the API is told to listen


class Metrics:
    """What canaries met (docs/metrics.md)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.phases = Counter(
            "livia_canary_phases", "Phases of canaries by outcome.", ["phase", "outcome"], registry=registry
        )
        self.durations = Histogram(
            "livia_canary_phase_duration_seconds",
            "Phases of canaries that came to their end.",
            ["phase"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self.runs = Counter("livia_canary_runs", "Canaries by outcome.", ["outcome"], registry=registry)
        self.last_success = Gauge(
            "livia_canary_last_success_timestamp_seconds", "When a canary last lived to its end.", registry=registry
        )
        self.runs.labels("unsent")
        for outcome in ("done", "failed"):
            self.runs.labels(outcome)
            for phase in PHASES:
                self.phases.labels(phase, outcome)


class CanaryError(Exception):
    """No canary could be sent, in a sentence."""


class Canary:
    """`said` is given a line for people at each step."""

    def __init__(
        self, installation: Installation, database: Database, counted: Metrics, said: Callable[[str], None]
    ) -> None:
        self._installation = installation
        self._database = database
        self._counted = counted
        self._said = said
        digest = hashlib.sha256(database.url.render_as_string().encode()).hexdigest()
        self._seat = f"\0livia-canary-{digest[:32]}"

    def once(self) -> bool:
        """Send one; whether it came to its end. Raises CanaryError when none could be sent."""
        # An abstract address (unix(7)) is taken by one process of this machine at a time, and free the moment it dies:
        # the lease of one that was killed is the next one's, and need not run out.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as seat:
            try:
                seat.bind(self._seat)
            except OSError as error:
                raise CanaryError("Another canary is at work on this machine: one at a time.") from error
            return self._under_lease(f"canary@{socket.gethostname()}")

    def turn(self) -> None:
        """Send one, whatever becomes of it."""
        try:
            self.once()
        except (CanaryError, SQLAlchemyError) as error:
            self._counted.runs.labels("unsent").inc()
            log.warning("no canary", reason=str(error))
        except Exception:
            # The outermost loop: whoever counts canaries must not be gone when nothing works any more.
            self._counted.runs.labels("unsent").inc()
            log.exception("no canary")

    def _under_lease(self, owner: str) -> bool:
        lease = self._database.transaction(lambda connection: leases.take(connection, _KEY, owner, _LEASE_SECONDS))
        if lease is None:
            raise CanaryError(
                f"Another machine's canary is at work, or died within the last {_LEASE_SECONDS:.0f} s: one at a time."
            )
        try:
            return self._fly()
        finally:
            with suppress(SQLAlchemyError):
                self._database.transaction(lambda connection: leases.release(connection, lease))

    def _fly(self) -> bool:
        options = self._installation.settings.livia
        try:
            with prepared(self._installation) as ground:
                Flight(self._api(), ground, options.canary_project, self._installation.clock, self._phase_done).fly()
        except NoGroundError as error:
            raise CanaryError(str(error)) from error
        except PhaseError as error:
            self._counted.phases.labels(error.phase, "failed").inc()
            self._counted.runs.labels("failed").inc()
            log.error("canary died", phase=error.phase, reason=error.reason)
            self._said(f"{error.phase:9} failed: {error.reason}")
            return False
        self._counted.runs.labels("done").inc()
        self._counted.last_success.set_to_current_time()
        return True

    def _phase_done(self, phase: str, seconds: float, sentence: str) -> None:
        self._counted.phases.labels(phase, "done").inc()
        self._counted.durations.labels(phase).observe(seconds)
        log.info("canary", phase=phase, seconds=round(seconds, 3), done=sentence)
        self._said(f"{phase:9} {seconds:6.2f} s  {sentence}")

    def _api(self) -> Api:
        settings = self._installation.settings
        server, options = settings.server, settings.livia
        if settings.access.auth_strategy == "http_basic":
            identity = urllib3.make_headers(basic_auth=f"{options.canary_user}:{options.canary_password}")
        else:
            identity = {"X-Project-Id": options.canary_project, "X-Roles": "admin,member"}
        return Api(_ANYWHERE.get(server.bind_host, server.bind_host), server.bind_port, dict(identity))


def stay(installation: Installation, interval: float, stop: Event, said: Callable[[str], None]) -> None:
    """One canary each `interval` seconds until stopped; scrapes are answered meanwhile."""
    database = installation.database()
    registry = metrics.registry_of(database)
    canary = Canary(installation, database, Metrics(registry), said)
    metrics.publish("canary", registry, installation.settings.livia)
    while not stop.wait(interval):
        canary.turn()


def once(installation: Installation, said: Callable[[str], None]) -> bool:
    """A single one; whether it came to its end. Raises CanaryError."""
    return Canary(installation, installation.database(), Metrics(CollectorRegistry()), said).once()
