"""`/healthcheck` (contract 00, section 16)."""

from pathlib import Path
from typing import Any

import pytest

from livia.api.healthcheck import BackendError
from livia.services.settings import HealthcheckSettings
from livia.store.engine import Database
from tests.api.clock import MovableClock
from tests.api.conftest import MakeHarness
from tests.api.harness import Harness

PATHS = ("/healthcheck", "/load-balancer/healthcheck", "/healthcheck/")
DATABASE = HealthcheckSettings(backends=("octavia_db_check",))
DOWN = "The Octavia database is unavailable"
TEXT, JSON, HTML = "text/plain", "application/json", "text/html"

#: enabled, settings, method, Accept; status, content type, body
ANSWERS: list[tuple[bool, HealthcheckSettings, str, str, int, str | None, Any]] = [
    (False, DATABASE, "GET", "*/*", 404, TEXT, ""),
    (False, DATABASE, "GET", JSON, 404, TEXT, ""),
    (False, DATABASE, "POST", "*/*", 404, TEXT, ""),
    (False, DATABASE, "HEAD", "*/*", 404, None, ""),
    (True, HealthcheckSettings(), "GET", "*/*", 204, None, ""),
    (True, HealthcheckSettings(), "GET", JSON, 200, JSON, {"detailed": False, "reasons": []}),
    (True, HealthcheckSettings(), "HEAD", "*/*", 204, None, ""),
    (True, DATABASE, "GET", "*/*", 200, TEXT, "OK"),
    (True, DATABASE, "GET", TEXT, 200, TEXT, "OK"),
    (True, DATABASE, "GET", JSON, 200, JSON, {"detailed": False, "reasons": ["OK"]}),
    (True, DATABASE, "HEAD", "*/*", 204, None, ""),
    (True, DATABASE, "GET", "image/png", 406, TEXT, "text/plain, application/json or text/html"),
    (True, DATABASE, "POST", "*/*", 405, TEXT, ""),
    (True, DATABASE, "PUT", "*/*", 405, TEXT, ""),
    (True, DATABASE, "DELETE", "*/*", 405, TEXT, ""),
]


def test_answers(make: MakeHarness) -> None:
    for enabled, settings, method, accept, status, kind, body in ANSWERS:
        harness = make(healthcheck_enabled=enabled, healthcheck=settings)
        for path in PATHS:
            answer = harness.client.request(method, path, root="", headers={"Accept": accept})
            row = (enabled, settings.backends, method, accept, path)
            assert (answer.status, answer.headers.get("content-type")) == (status, kind), row
            assert (answer.json if kind == JSON else answer.body.decode()) == body, row


def test_a_page_for_people(make: MakeHarness) -> None:
    harness = make(healthcheck_enabled=True, healthcheck=DATABASE)
    answer = harness.client.request("GET", "/healthcheck", root="", headers={"Accept": HTML})
    assert (answer.status, answer.headers["content-type"]) == (200, HTML)
    assert b"<td>octavia_db_check</td><td>OK</td>" in answer.body


def test_a_database_that_is_down(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gone/livia.db", durable=False)
    harness = Harness(database, healthcheck_enabled=True, healthcheck=DATABASE)
    text, json, head = (
        harness.client.request(method, "/healthcheck", root="", headers={"Accept": accept})
        for method, accept in (("GET", TEXT), ("GET", JSON), ("HEAD", TEXT))
    )
    assert (text.status, text.body.decode()) == (503, DOWN)
    assert (json.status, json.json) == (503, {"detailed": False, "reasons": [DOWN]})
    assert (head.status, head.body) == (503, b"")
    database.engine.dispose()


def test_details(make: MakeHarness, tmp_path: Path) -> None:
    file = tmp_path / "disabled"
    settings = HealthcheckSettings(
        backends=("octavia_db_check", "disable_by_file"), detailed=True, disable_by_file_path=str(file)
    )
    harness = make(healthcheck_enabled=True, healthcheck=settings, healthcheck_refresh_interval=0)
    headers = {"Accept": JSON}
    healthy = harness.client.request("GET", "/healthcheck", root="", headers=headers)
    assert healthy.status == 200
    assert healthy.json["reasons"] == [
        {"class": "octavia_db_check", "details": "", "reason": "OK"},
        {"class": "disable_by_file", "details": "", "reason": "OK"},
    ]
    assert healthy.json["detailed"] is True
    assert set(healthy.json) == {"detailed", "reasons", "python_version", "platform", "gc", "threads"}
    file.touch()
    disabled = harness.client.request("GET", "/healthcheck", root="", headers=headers)
    assert disabled.status == 503
    assert disabled.json["reasons"][1] == {
        "class": "disable_by_file",
        "details": f"The file {file} exists.",
        "reason": "DISABLED BY FILE",
    }


def test_files_of_ports(make: MakeHarness, tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    for port, status in ((9876, 503), (9999, 200)):
        entry = f"{port}:{tmp_path}/here"
        settings = HealthcheckSettings(backends=("disable_by_files_ports",), disable_by_file_paths=(entry,))
        harness = make(healthcheck_enabled=True, healthcheck=settings)
        assert harness.client.request("GET", "/healthcheck", root="").status == status, entry


def test_answers_are_kept_for_a_while(make: MakeHarness, tmp_path: Path) -> None:
    file = tmp_path / "disabled"
    clock = MovableClock()
    settings = HealthcheckSettings(backends=("disable_by_file",), disable_by_file_path=str(file))
    harness = make(healthcheck_enabled=True, healthcheck=settings, clock=clock)
    assert harness.client.request("GET", "/healthcheck", root="").status == 200
    file.touch()
    clock.pass_(4.9)
    assert harness.client.request("GET", "/healthcheck", root="").status == 200
    clock.pass_(0.2)
    answer = harness.client.request("GET", "/healthcheck", root="")
    assert (answer.status, answer.body.decode()) == (503, "DISABLED BY FILE")


@pytest.mark.parametrize(
    "settings, text",
    [
        (HealthcheckSettings(backends=("octavia_db_chek",)), "'octavia_db_chek' is none of octavia_db_check, "),
        (HealthcheckSettings(disable_by_file_paths=("/var/run/x",)), "'/var/run/x' is not of the form port:path"),
    ],
)
def test_settings_that_cannot_be(make: MakeHarness, settings: HealthcheckSettings, text: str) -> None:
    with pytest.raises(BackendError, match=text):
        make(healthcheck=settings)
