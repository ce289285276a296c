"""The programs that operators of OpenStack know, as processes on an octavia.conf."""

import io
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import urllib3

from livia.ops import dbmanage
from livia.store import schema

CONF = """
[DEFAULT]
transport_url = fake://
[database]
connection = {url}
[api_settings]
bind_port = {port}
auth_strategy = {strategy}
[controller_worker]
network_driver = network_noop_driver
compute_driver = compute_noop_driver
amphora_driver = amphora_noop_driver
[certificates]
cert_manager = noop_cert_manager
[livia]
wake_socket = {directory}/wake.sock
"""
#: what installed scripts do
SCRIPT = "import sys; from livia.ops.{} import {} as main; sys.exit(main())"
MAINS = {
    "octavia-api": ("programs", "api"),
    "octavia-db-manage": ("dbmanage", "main"),
    "octavia-worker": ("programs", "worker"),
}


def command(program: str, *arguments: object) -> list[str]:
    """The command line of a program, of the code under test."""
    return [sys.executable, "-c", SCRIPT.format(*MAINS[program]), *map(str, arguments)]


def ended(program: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end."""
    return subprocess.run(command(program, *arguments), capture_output=True, text=True, check=False, timeout=30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def configured(directory: Path, url: str, strategy: str = "noauth") -> tuple[Path, int]:
    """An octavia.conf, and the API's port in it."""
    port = free_port()
    path = directory / f"octavia-{strategy}.conf"
    path.write_text(CONF.format(url=url, port=port, strategy=strategy, directory=directory))
    return path, port


@contextmanager
def running(program: str, *arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    """A program while it runs; at the end it must obey SIGTERM."""
    process = subprocess.Popen(command(program, *arguments))
    try:
        yield process
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> str:
    """The address of an API, once it answers."""
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            if urllib3.request("GET", address, retries=False).status == 200:
                return address
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the API does not answer")


def test_a_missing_schema_is_told_with_its_remedy(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path, f"sqlite:///{tmp_path / 'octavia.db'}")
    refused = ended("octavia-api", "--config-file", conf)
    assert refused.returncode == 1
    assert "does not exist. Run: octavia-db-manage upgrade head" in refused.stderr
    assert not (tmp_path / "octavia.db").exists()


def test_a_load_balancer_becomes_active(tmp_path: Path) -> None:
    conf, port = configured(tmp_path, f"sqlite:///{tmp_path / 'octavia.db'}")
    for sentence in ("The database is at 0", " already."):
        done = ended("octavia-db-manage", "--config-file", conf, "upgrade", "head")
        assert (done.returncode, sentence in done.stdout) == (0, True), done
    with running("octavia-api", "--config-file", conf), running("octavia-worker", "--config-file", conf):
        path = f"{answers(port)}/v2/lbaas/loadbalancers"
        body = {"loadbalancer": {"vip_subnet_id": "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11", "project_id": "p"}}
        created = urllib3.request("POST", path, json=body)
        assert created.status == 201, created.data
        deadline = time.monotonic() + 10
        statuses: list[str] = []
        while statuses[-1:] != ["ACTIVE"] and time.monotonic() < deadline:
            time.sleep(0.02)
            statuses.append(urllib3.request("GET", path).json()["loadbalancers"][0]["provisioning_status"])
        assert statuses[-1] == "ACTIVE"


def test_what_db_manage_says(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path, f"sqlite:///{tmp_path / 'octavia.db'}")
    newest = schema.HEAD
    #: command, exit status, what is said
    said: list[tuple[str, int, str]] = [
        ("current", 0, "The database is empty."),
        ("upgrade --delta 1", 0, "The database is at 0001."),
        ("upgrade", 0, f"The database is at {newest}"),
        ("upgrade head", 0, f"The database is at {newest} already."),
        ("current", 0, f"{newest} (head)"),
        ("history", 0, "0001  The first tables"),
        ("branches", 0, ""),
        ("check_migration", 0, ""),
        ("upgrade --sql", 0, "CREATE TABLE load_balancer"),
        ("upgrade_persistence", 0, "Nothing to do"),
        ("upgrade nope", 1, "'nope'"),
        ("upgrade 0001 --delta 1", 1, "a revision, or --delta"),
        ("downgrade 0001", 1, "restore a dump"),
        ("revision", 1, "docs/development.md"),
        ("stamp nope", 1, "'nope'"),
        ("stamp 0001", 0, "The database is at 0001."),
    ]
    for line, status, text in said:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            assert dbmanage.main(["--config-file", str(conf), *line.split()]) == status, (line, err.getvalue())
        assert text in (err if status else out).getvalue(), line
