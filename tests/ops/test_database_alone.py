"""Commands for operators where Livia is services on an octavia.conf: the database that it names is enough."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert, update

from livia.core.clock import SystemClock
from livia.core.report import HostFacts
from livia.ops import cli
from livia.store import hosts, schema
from livia.store import tables as t
from livia.store.engine import Database
from tests.database import fresh, put_load_balancer


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """With two hosts and a load balancer."""
    found = fresh(tmp_path)
    schema.stamp(found, "head")
    facts = HostFacts(address="192.0.2.1", agent_port=9443, capacity=10, amphorae=0)
    with found.write() as connection:
        for name in ("host-a", "host-b"):
            hosts.seen(connection, name, facts)
    return found


def run(directory: Path, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """What a command prints that knows octavia.conf and no state directory."""
    conf = directory / "octavia.conf"
    conf.write_text(f"[database]\nconnection = sqlite:///{directory / 'livia.db'}\n")
    assert cli.main(["--state-directory", str(directory / "none"), "--config-file", str(conf), *command]) == 0
    assert not (directory / "none").exists()
    return capsys.readouterr().out


def test_hosts_are_listed_drained_and_undrained(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "Host host-a is drained" in run(tmp_path, capsys, "host", "drain", "host-a")
    with database.read() as connection:
        assert [host.draining for host, _age in hosts.every(connection)] == [True, False]
    listed = run(tmp_path, capsys, "host", "list")
    assert "host-a" in listed
    assert "drained" in listed
    assert "Host host-a is in service again" in run(tmp_path, capsys, "host", "undrain", "host-a")
    database.close()


def test_the_status_is_what_the_database_has(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    key = put_load_balancer(database)
    told = run(tmp_path, capsys, "status")
    assert key in told
    assert "host-b" in told
    assert "livia up" not in told
    database.close()


def test_the_status_tells_of_amphorae_that_nobody_hears(
    tmp_path: Path, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    now = SystemClock().now()
    # More than are shown of those that call for no look.
    keys = [str(uuid4()) for _ in range(102)]
    common = {"status": "ALLOCATED", "created_at": now, "updated_at": now}
    with database.write() as connection:
        for key in keys:
            connection.execute(insert(t.amphora).values(id=key, **common))
            connection.execute(insert(t.amphora_health).values(amphora_id=key, last_update=now, busy=False))
        silent = t.amphora_health.c.amphora_id.in_(keys[:2])
        connection.execute(update(t.amphora_health).where(silent).values(last_update=now - timedelta(seconds=40)))
    told = run(tmp_path, capsys, "status")
    # Agents of others may send no more than one heartbeat in ten seconds.
    assert {key for key in keys if key in told} == set(keys[:2])
    assert "2 amphorae were not heard for 30 s: the health manager's log says what is done about that" in told
    with database.write() as connection:
        connection.execute(update(t.amphora_health).values(last_update=SystemClock().now()))
    assert "not heard" not in run(tmp_path, capsys, "status")
    database.close()
