"""A socket that systemd holds: an API that is replaced as a whole refuses nobody, and takes no other socket."""

import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from livia.ops import dbmanage, programs
from livia.ops.settings import EMBEDDED
from tests.ops.programs import PATIENCE, command, configured, obeying, told
from tests.ops.test_serving import Client
from tests.waiting import wait_for


def start(given: socket.socket, conf: Path, **environment: str) -> "subprocess.Popen[str]":
    """`octavia-api` with a socket."""
    become = [sys.executable, "-m", "tests.ops.activated", str(given.fileno()), *command("api", conf)]
    return subprocess.Popen(
        become, pass_fds=[given.fileno()], env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
    )


def refused(given: socket.socket, conf: Path, **environment: str) -> str:
    """What it says instead of starting."""
    _out, err = start(given, conf, **environment).communicate(timeout=PATIENCE)
    return err


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    conf, _port = configured(tmp_path)
    told(dbmanage.main, "--config-file", conf, "upgrade", "head")
    return conf


def port_of(conf: Path) -> int:
    (line,) = [line for line in conf.read_text().splitlines() if line.startswith("bind_port")]
    return int(line.rpartition("=")[2])


def test_nobody_is_refused_while_the_api_is_replaced(conf: Path) -> None:
    port = port_of(conf)
    with socket.create_server(("127.0.0.1", port), backlog=128) as held, Client(port) as one, Client(port) as two:
        for _ in range(3):
            wanted = [one.answers + 5, two.answers + 5]
            with obeying(start(held, conf)):
                wait_for(partial(lambda least: one.answers >= least[0] and two.answers >= least[1], wanted), PATIENCE)
        # By whom they are answered when they are to end.
        with obeying(start(held, conf)):
            wanted = [one.answers + 1, two.answers + 1]
            wait_for(partial(lambda least: one.answers >= least[0] and two.answers >= least[1], wanted), PATIENCE)
            one.stop()
            two.stop()
    assert (one.failed, two.failed) == ([], [])


def test_a_socket_that_is_not_the_apis_is_refused(conf: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        said = refused(other, conf)
        assert f"listens on 127.0.0.1 port {other.getsockname()[1]}, and [api_settings] bind_host" in said
        assert "listens on 2 sockets" in refused(other, conf, LISTEN_FDS="2")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", port_of(conf)))
        assert "no listening TCP socket" in refused(silent, conf)


def test_what_is_meant_for_another_process_is_not_taken(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    with socket.create_server(("127.0.0.1", port_of(conf))):
        assert "The API cannot listen on 127.0.0.1" in told(programs.api, "--config-file", conf)[2]


def test_the_socket_unit_listens_where_livia_up_does() -> None:
    unit = (Path(__file__).parents[2] / "deploy" / "systemd" / "livia.socket").read_text()
    server = EMBEDDED.server
    assert f"\nListenStream={server.bind_host}:{server.bind_port}\n" in unit
