"""Canaries that cannot be sent, or die, are counted: one that is not there warns nobody."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from livia.core.clock import SystemClock
from livia.ops.canary.flight import PHASES, Flight, PhaseError
from livia.ops.canary.ground import Ground
from livia.ops.canary.service import Canary, Metrics
from livia.ops.demo.api import Api, ApiError
from livia.ops.services import Installation
from livia.ops.settings import EMBEDDED, ControllerSettings, DatabaseSettings
from livia.ops.state import State
from livia.store import tables as t


@pytest.mark.parametrize("why", ["no tables", "no network"])
def test_one_that_cannot_be_sent_is_counted(tmp_path: Path, why: str) -> None:
    database = DatabaseSettings(connection=f"sqlite:///{tmp_path / 'livia.db'}")
    elsewhere = ControllerSettings(network_driver="network_noop_driver")
    installation = Installation(State(tmp_path / "state"), replace(EMBEDDED, database=database, controller=elsewhere))
    registry = CollectorRegistry()
    canary = Canary(installation, installation.database(), Metrics(registry), lambda _line: None)
    if why == "no network":
        t.metadata.create_all(installation.database().engine)
    for count in (1, 2):
        canary.turn()
        assert registry.get_sample_value("livia_canary_runs_total", {"outcome": "unsent"}) == count
    assert registry.get_sample_value("livia_canary_runs_total", {"outcome": "failed"}) == 0


class Failing(Api):
    """An API in which everything works, but what `fails` says of a verb and a path."""

    def __init__(self, fails: Callable[[str, str], bool]) -> None:
        super().__init__("127.0.0.1", 1)
        self._fails = fails
        self.there = False
        self._generation = 0

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, branch: str = "lbaas"
    ) -> dict[str, Any]:
        if self._fails(method, path):
            raise ApiError(f"{method} {path}: 500 it is broken", 500)
        shown = {"id": "lb", "project_id": "p", "vip_address": "192.0.2.1", "provisioning_status": "ACTIVE"}
        if method == "GET" and path.startswith("/amphorae"):
            return {"amphorae": [{"id": f"amphora-{self._generation}"}]}
        if method == "GET" and path.startswith("/loadbalancers?"):
            return {"loadbalancers": [shown] if self.there else []}
        if method == "GET" and not self.there:
            raise ApiError("404", 404)
        self._generation += method == "PUT"
        self.there = self.there or method == "POST"
        if method == "DELETE":
            self.there = False
        return {"loadbalancer": shown}


@pytest.mark.parametrize(
    ("phase", "verb", "path"),
    [
        ("clean", "GET", "/loadbalancers?"),
        ("create", "POST", "/loadbalancers"),
        ("create", "GET", "/loadbalancers/lb"),
        ("failover", "PUT", "/loadbalancers/lb/failover"),
        ("failover", "GET", "/amphorae"),
        ("delete", "DELETE", "/loadbalancers/lb"),
    ],
)
def test_each_phase_may_be_what_it_dies_of(phase: str, verb: str, path: str) -> None:
    api = Failing(lambda method, asked: method == verb and asked.startswith(path))
    done: list[str] = []
    flight = Flight(api, Ground("network", None), "p", SystemClock(), lambda name, _seconds, _what: done.append(name))
    with pytest.raises(PhaseError, match="500 it is broken") as died:
        flight.fly()
    assert died.value.phase == phase
    assert tuple(done) == PHASES[: PHASES.index(phase)]
    # What it made goes with it; what cannot be deleted is the next one's.
    assert api.there is (phase == "delete")
