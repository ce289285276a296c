"""The programs that operators of OpenStack know, as processes on an octavia.conf (contract 90)."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from livia.ops import dbmanage, files, programs
from livia.store import schema
from tests.database import SERVERS, server_database
from tests.ops.programs import SUBNET, Api, configured, running, told

WRITTEN = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(params=["sqlite", *(kind for kind in SERVERS if kind == "mariadb")])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'octavia.db'}"
        return
    with server_database(request.param) as database:
        yield database.url.render_as_string(hide_password=False)


def test_two_strategies_on_one_database(tmp_path: Path, url: str) -> None:
    noauth, port = configured(tmp_path, url)
    testing, testing_port = configured(tmp_path, url, "testing")
    assert told(dbmanage.main, "--config-file", noauth, "upgrade", "head")[0] == 0
    everybody, roles = Api(port), Api(testing_port)
    engine = create_engine(url)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        stack.enter_context(running("api", noauth))
        stack.enter_context(running("api", testing))
        everybody.wait("answer")
        roles.wait("answer")
        created = create(everybody)
        check_roles(roles, created)
        check_written_rows(everybody, engine, created)
        check_noop_providers(everybody)
        assert everybody.status(created) == "PENDING_CREATE"
        stack.enter_context(running("worker", noauth))
        everybody.wait("ACTIVE", created)
        roles.wait("ACTIVE", created)


def create(api: Api) -> str:
    """A load balancer that nobody makes. Its id."""
    without = api.ask("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}})
    assert (without.status, "Missing project ID in request" in without.json()["faultstring"]) == (400, True)
    listener = {"protocol": "UDP", "protocol_port": 53}
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "listeners": [listener]}}
    created = api.ask("POST", "/loadbalancers", body, X_Project_Id="p")
    assert created.status == 201, created.data
    found = created.json()["loadbalancer"]
    assert (found["vip_address"], found["provisioning_status"]) == ("198.51.100.1", "PENDING_CREATE")
    load_balancer_id: str = found["id"]
    return load_balancer_id


def check_roles(api: Api, load_balancer_id: str) -> None:
    """Where roles count, they count on the same load balancers."""
    path = f"/loadbalancers/{load_balancer_id}"
    callers = (("p", "", 403), ("p", "reader", 200), ("q", "reader", 403), ("q", "admin", 200))
    for project, role, status in callers:
        answer = api.ask("GET", path, X_Project_Id=project, X_Roles=role)
        assert answer.status == status, (project, role, answer.data)


def written_rows(load_balancer_id: str, listener_id: str) -> dict[str, tuple[str, tuple[str, str | None, Any]]]:
    """SQL that writes a row, and what a path shows of it: the item, its attribute, and that one's value."""
    common = f"'p', '{WRITTEN}', 'written'"
    return {
        f"UPDATE load_balancer SET name = 'renamed' WHERE id = '{load_balancer_id}'": (
            f"/loadbalancers/{load_balancer_id}",
            ("loadbalancer", "name", "renamed"),
        ),
        "INSERT INTO load_balancer (project_id, id, name, provisioning_status, operating_status, enabled) "
        f"VALUES ({common}, 'ERROR', 'ONLINE', '1')": (
            f"/loadbalancers/{WRITTEN}",
            ("loadbalancer", "operating_status", "ONLINE"),
        ),
        "INSERT INTO pool (project_id, id, name, protocol, lb_algorithm, operating_status, enabled, "
        f"load_balancer_id, provisioning_status) VALUES ({common}, 'UDP', 'ROUND_ROBIN', 'ONLINE', '1', "
        f"'{load_balancer_id}', 'ACTIVE')": (f"/pools/{WRITTEN}", ("pool", "provisioning_status", "ACTIVE")),
        "INSERT INTO listener_statistics (listener_id, amphora_id, bytes_in, bytes_out, active_connections, "
        f"total_connections, request_errors) VALUES ('{listener_id}', '{WRITTEN}', 1, 2, 3, 4, 5)": (
            f"/loadbalancers/{load_balancer_id}/stats",
            ("stats", "bytes_out", 2),
        ),
        f"UPDATE listener SET provisioning_status = 'DELETED' WHERE id = '{listener_id}'": (
            f"/listeners/{listener_id}",
            ("faultcode", None, "Client"),
        ),
    }


def check_written_rows(api: Api, engine: Engine, load_balancer_id: str) -> None:
    """What SQL writes, with the columns of contract 98, the very next request shows."""
    with engine.begin() as connection:
        listener_id = connection.execute(text("SELECT id FROM listener")).scalar_one()
    statements = written_rows(load_balancer_id, listener_id)
    for statement, (path, (item, name, value)) in statements.items():

        def seen(path: str = path, item: str = item, name: str | None = name) -> Any:
            found = api.ask("GET", path).json().get(item, {})
            return found.get(name) if name else found

        assert seen() != value, statement
        with engine.begin() as connection:
            connection.execute(text(statement))
        assert seen() == value, statement
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE listener SET provisioning_status = 'ACTIVE' WHERE id = '{listener_id}'"))
        connection.execute(text(f"DELETE FROM pool WHERE id = '{WRITTEN}'"))


def check_noop_providers(api: Api) -> None:
    """They are enabled, and refuse what comes while they do nothing."""
    for provider in ("noop_driver", "noop_driver-alt"):
        body = {"loadbalancer": {"vip_subnet_id": SUBNET, "project_id": "p", "provider": provider}}
        created = api.ask("POST", "/loadbalancers", body)
        assert created.status == 201, created.data
        assert api.ask("DELETE", f"/loadbalancers/{created.json()['loadbalancer']['id']}").status == 409


def test_bodies_that_come_in_chunks_or_never_to_their_end(tmp_path: Path) -> None:
    conf, port = configured(tmp_path)
    told(dbmanage.main, "--config-file", conf, "upgrade", "head")
    api = Api(port)
    head = "POST /v2/lbaas/loadbalancers HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
    # The connections are closed last: the program ends although nothing more comes.
    with ExitStack() as stack, running("api", conf):
        api.wait("answer")
        for _ in range(20):
            stuck = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stuck.sendall(head.encode())
        body = iter([b'{"loadbalancer": {"project_id": "p", ', f'"vip_subnet_id": "{SUBNET}"}}}}'.encode()])
        chunked = api.send("POST", "/loadbalancers", body=body, headers={"Content-Type": "application/json"})
        assert chunked.status == 201, chunked.data


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    conf, port = configured(tmp_path)
    config = ("--config-file", conf)
    status, _out, err = told(programs.api, *config)
    assert (status, "does not exist. Run: octavia-db-manage upgrade head" in err) == (1, True), err
    assert not (tmp_path / "octavia.db").exists()
    (tmp_path / "octavia.db").touch()
    assert "is empty. Run: octavia-db-manage upgrade head" in told(programs.worker, *config)[2]
    told(dbmanage.main, *config, "upgrade", "--delta", 1)
    assert f"is at revision 0001, and {schema.HEAD} is needed. Run: octavia" in told(programs.housekeeping, *config)[2]
    told(dbmanage.main, *config, "upgrade")
    with socket.create_server(("127.0.0.1", port)):
        assert f"cannot listen on 127.0.0.1 port {port}" in told(programs.api, *config)[2]
    assert "[health_manager] heartbeat_key is not set" in told(programs.health_manager, *config)[2]


#: what octavia.conf has besides, the program, what it says
BAD: list[tuple[str, Any, str]] = [
    ("[database]\nconnection =\n", programs.api, "[database] connection is not set: it names the database. Looked in"),
    ("[database]\nconnection = nonsense\n", programs.api, "[database] connection cannot be used"),
    ("[database]\nconnection = oracle9://h/d\n", programs.api, "[database] connection cannot be used"),
    (
        "[database]\nconnection = mysql+pymysql://u:secret@127.0.0.1:1/d\n",
        programs.api,
        "@127.0.0.1:1/d cannot be used: ",
    ),
    ("[api_settings]\nauth_strategy = keystone\n", programs.api, "auth_strategy = keystone cannot be used"),
    ("[api_settings]\nbind_port = many\n", programs.api, "bind_port = 'many'"),
    (
        "[controller_worker]\nnetwork_driver = allowed_address_pairs_driver\n",
        programs.api,
        "[controller_worker] network_driver = allowed_address_pairs_driver is not available yet: "
        "use network_local_driver or network_noop_driver.",
    ),
    ("[controller_worker]\ncompute_driver = compute_nova_driver\n", programs.worker, "use compute_host_driver or"),
    ("[controller_worker]\namphora_driver = amphora_haproxy_rest_driver\n", programs.worker, "client_cert = "),
    (
        f"[controller_worker]\namphora_driver = amphora_haproxy_rest_driver\n"
        f"[haproxy_amphora]\nclient_cert = {__file__}\nserver_ca = {__file__}\n",
        programs.worker,
        f"[haproxy_amphora] client_cert = {__file__} cannot be used (",
    ),
    (
        "[health_manager]\nheartbeat_key = key\nbind_ip = 192.0.2.1\n",
        programs.health_manager,
        "The health manager cannot listen on 192.0.2.1 port 5555 (Cannot assign requested address): set "
        "[health_manager] bind_ip to an address of this machine.",
    ),
    (
        "[database]\nconnection = mysql://h/d\n",
        programs.api,
        "No module named 'MySQLdb'. Livia uses mysql+pymysql:// and postgresql+psycopg://.",
    ),
    ("[DEFAULT]\nlog_file = /dev/null/log\n", programs.worker, "/dev/null/log cannot be written"),
]


def test_bad_settings_end_a_program_with_a_sentence(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path)
    told(dbmanage.main, "--config-file", conf, "upgrade")
    for number, (more, main, sentence) in enumerate(BAD):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "10-more.conf").write_text(more)
        status, out, err = told(main, "--config-file", conf, "--config-dir", directory)
        assert (status, out, sentence in err) == (1, "", True), (more, err)
        assert "secret" not in err


def test_messages_are_said_not_to_be_sent(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path)
    conf.write_text(conf.read_text().replace("fake://", "rabbit://user:secret@host"))
    _status, _out, err = told(dbmanage.main, "--config-file", conf, "current")
    assert "nothing is sent over rabbit" in err
    assert "secret" not in err


def test_what_db_manage_says(tmp_path: Path) -> None:
    conf, _port = configured(tmp_path)
    newest = schema.HEAD
    #: command, exit status, what is said
    said: list[tuple[str, int, str]] = [
        ("current", 0, "The database is empty."),
        ("upgrade --delta 1", 0, "The database is at 0001."),
        ("upgrade", 0, f"The database is at {newest}."),
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
    for line, status, sentence in said:
        found, out, err = told(dbmanage.main, "--config-file", conf, *line.split())
        assert (found, sentence in (err if status else out)) == (status, True), (line, out, err)


def test_where_configuration_is_looked_for(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for path in ("near/octavia.conf", "far/octavia.conf", "far/octavia-api.conf", "far/octavia-worker.conf"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    for name in ("octavia.conf.d/b.conf", "octavia.conf.d/a.conf", "octavia.conf.d/c.txt", "octavia-api.conf.d/d.conf"):
        (far / name).parent.mkdir(exist_ok=True)
        (far / name).touch()
    expected = "near/octavia.conf far/octavia-api.conf far/octavia.conf.d/a.conf far/octavia.conf.d/b.conf "
    found = files.found("octavia-api", (tmp_path / "missing", near, far))
    assert found == [tmp_path / each for each in (expected + "far/octavia-api.conf.d/d.conf").split()]


def test_a_web_server_finds_the_application(tmp_path: Path) -> None:
    home = tmp_path / ".octavia"
    home.mkdir()
    conf, _port = configured(tmp_path)
    conf.rename(home / "octavia.conf")
    # As a web server does: import, call, read.
    code = (
        "from octavia.wsgi.api import application\n"
        "from wsgiref.util import setup_testing_defaults\n"
        "environ = {'PATH_INFO': '/v2/lbaas/loadbalancers'}\n"
        "setup_testing_defaults(environ)\n"
        "print(b''.join(application(environ, lambda status, headers: print(status))).decode())\n"
    )

    def load() -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "HOME": str(tmp_path)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=environment)

    refused = load()
    assert (refused.returncode, "octavia-wsgi: The database" in refused.stderr) == (1, True), refused.stderr
    assert told(dbmanage.main, "--config-file", home / "octavia.conf", "upgrade")[0] == 0
    assert load().stdout.splitlines() == ["200 OK", '{"loadbalancers":[],"loadbalancers_links":[]}']
