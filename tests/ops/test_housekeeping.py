"""Which jobs the house has, by its configuration."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from livia.core.clock import SystemClock
from livia.core.wake import NoWake
from livia.ops import housekeeping
from livia.ops.services import Installation
from livia.ops.settings import CONTRACT, EMBEDDED, Settings
from livia.ops.state import State
from tests import database as rows

_ROWS = {"purge", "unattended"}


def names(settings: Settings, directory: Path) -> set[str]:
    jobs = housekeeping.jobs(settings, rows.fresh(directory), SystemClock(), NoWake(), CollectorRegistry())
    return {job.name for job in jobs}


def test_livia_up_has_all(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.prepare()
    settings = Installation(state, EMBEDDED).complete_settings
    assert names(settings, tmp_path) == _ROWS | {"spares", "apart", "orphans", "drift", "certificates"}


def test_a_house_for_drivers_that_are_not_there_only_keeps_the_database(tmp_path: Path) -> None:
    assert names(CONTRACT, tmp_path) == _ROWS


def test_a_house_without_a_certificate_keeps_the_database_the_spares_and_pairs_apart(tmp_path: Path) -> None:
    agent = replace(EMBEDDED.agent, client_cert=tmp_path / "none.pem")
    assert names(replace(EMBEDDED, agent=agent), tmp_path) == _ROWS | {"spares", "apart"}


def test_pairs_are_parted_only_where_the_compute_driver_tells_who_is_together(tmp_path: Path) -> None:
    controller = replace(EMBEDDED.controller, compute_driver="compute_noop_driver")
    assert "apart" not in names(replace(EMBEDDED, controller=controller), tmp_path)


@pytest.mark.parametrize(
    "compute, size, told",
    [
        ("compute_noop_driver", 3, 1),
        ("compute_noop_driver", 0, 0),
        ("compute_host_driver", 3, 0),
    ],
)
def test_spares_that_no_host_could_have_are_told_of(tmp_path: Path, compute: str, size: int, told: int) -> None:
    controller = replace(EMBEDDED.controller, amphora_driver="amphora_noop_driver", compute_driver=compute)
    house = replace(EMBEDDED.house, spare_amphora_pool_size=size)
    with capture_logs() as logs:
        names(replace(EMBEDDED, controller=controller, house=house), tmp_path)
    reasons = [entry["reason"] for entry in logs if entry["event"] == "no spares are kept"]
    assert (
        reasons
        == [
            "[house_keeping] spare_amphora_pool_size = 3 has no effect with [controller_worker] compute_driver = "
            "compute_noop_driver: only compute_host_driver has hosts to keep spares on."
        ]
        * told
    )


@pytest.mark.parametrize("checks, expected", [(0, False), (1, True)])
def test_drift_is_looked_for_unless_that_is_switched_off(tmp_path: Path, checks: int, expected: bool) -> None:
    controller = replace(EMBEDDED.controller, amphora_driver="amphora_noop_driver")
    livia = replace(EMBEDDED.livia, drift_checks_per_minute=checks)
    assert ("drift" in names(replace(EMBEDDED, controller=controller, livia=livia), tmp_path)) is expected


def test_certificates_are_never_renewed_before_half_their_life() -> None:
    house = replace(EMBEDDED.house, cert_expiry_buffer=3600.0)
    certificates = replace(EMBEDDED.certificates, cert_validity_time=3600.0)
    validity = housekeeping.validity(replace(EMBEDDED, house=house, certificates=certificates))
    assert validity.buffer * 2 == validity.life
