"""Commands for operators where Livia is services on an octavia.conf: the database that it names is enough."""

from pathlib import Path

import pytest

from livia.core.report import HostFacts
from livia.ops import cli
from livia.store import hosts, schema
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
