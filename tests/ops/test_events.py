"""`livia events`."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from livia.core.model.event import Event, Severity
from livia.ops import cli, dbmanage
from livia.store import events
from livia.store import tables as t
from livia.store.engine import Database
from tests.ops.programs import told

NOW = datetime(2026, 3, 2, 11, 30, 5)  # noqa: DTZ001


def entry(load_balancer: str, number: int, **change: Any) -> Event:
    given = {
        "load_balancer_id": load_balancer,
        "object_type": "load_balancer",
        "object_id": load_balancer,
        "severity": Severity.WARNING,
        "code": "amphora.replace",
        "message": f"number {number}",
        "request_id": None,
    }
    return Event(**given | change)


def conf_for(directory: Path) -> Path:
    conf = directory / "octavia.conf"
    conf.write_text(f"[database]\nconnection = sqlite:///{directory}/octavia.db\n")
    return conf


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Who runs the tests may have a narrow terminal.
    monkeypatch.setenv("COLUMNS", "200")
    assert told(dbmanage.main, "--config-file", conf_for(tmp_path), "upgrade", "head")[0] == 0
    found = Database(f"sqlite:///{tmp_path}/octavia.db")
    with found.write() as connection:
        row = {"id": "lb-1", "project_id": "p", "name": "shop", "provisioning_status": "ACTIVE", "enabled": True}
        row |= {"operating_status": "ONLINE", "provider": "amphora", "topology": "SINGLE"}
        connection.execute(insert(t.load_balancer).values(row))
        for number in range(4):
            events.add(connection, entry("lb-1" if number % 2 else "gone", number), NOW)
        last = entry("lb-1", 4, severity=Severity.ERROR, request_id="req-7", message="[/x] no \x1b[31m room")
        events.add(connection, last, NOW)
    found.close()
    return tmp_path


def shown(directory: Path, *arguments: str) -> tuple[int, str, str]:
    conf = conf_for(directory)
    return told(cli.main, "--state-directory", directory / "none", "--config-file", conf, "events", *arguments)


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ((), [0, 1, 2, 3, 4]),
        (("--last", "2"), [3, 4]),
        (("shop",), [1, 3, 4]),
        (("lb-1", "--last", "2"), [3, 4]),
        (("gone",), [0, 2]),
    ],
)
def test_the_last_are_shown_oldest_first(installed: Path, arguments: tuple[str, ...], numbers: list[int]) -> None:
    status, out, err = shown(installed, *arguments)
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if "2026-03-02 11:30:05" in line]
    assert [4 if "room" in line else int(line.split("number ")[1][0]) for line in lines] == numbers


def test_what_tenants_wrote_is_shown_as_it_is(installed: Path) -> None:
    _status, out, _err = shown(installed, "--last", "1")
    (line,) = [line for line in out.splitlines() if "room" in line]
    assert "[/x] no \N{REPLACEMENT CHARACTER}[31m room (amphora.replace)" in line
    assert "ERROR" in line
    assert "req-7" in line


def test_where_there_are_none_that_is_said(installed: Path) -> None:
    assert shown(installed, "unknown")[:2] == (0, "There are no events of a load balancer unknown.\n")


@pytest.mark.parametrize("number", ["0", "-1", "all", "9" * 30])
def test_no_number_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["events", f"--last={number}"])
    assert f"'{number}' is no number from 1 to 100000" in capsys.readouterr().err
