"""Health checks and what becomes of traffic and reports, with HAProxy between."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.core.model.pool import MonitorType
from livia.core.spec import Spec
from livia.pki.authority import Authority
from livia.pki.sockets import ClosingSocket
from tests.agent.lab import VIP, Lab, end, listener, member, monitor, pool, single
from tests.waiting import wait_for

_NAME = "pool-1:listener-1"


def _told(lab: Lab, status: str, **members: str) -> None:
    lab.hear(lambda beat: beat.get("pools", {}).get(_NAME) == {"status": status, "members": members})


def _blackhole(lab: Lab, spec: Spec, number: int, action: str) -> None:
    """What the amphora sends to a member is lost from now on, or arrives again."""
    namespace = lab.names.amphora(spec.amphora_id)
    kernel.ip(["-n", namespace, "route", action, "blackhole", f"172.31.213.{10 + number}/32"])


def test_ping_takes_members_out_and_in_and_outlives_reloads_restarts_and_the_agent(running: Lab) -> None:
    running.member("one", "172.31.213.11")
    two = running.member("two", "172.31.213.12")
    client = running.namespace("client", "172.31.213.100")
    checks = monitor(type=MonitorType.PING)
    spec = single((pool(member(1), member(2), member(3, enabled=False), monitor=checks),))
    running.apply(spec)
    _told(running, "UP", m1="UP", m2="UP", m3="MAINT")

    kernel.ip(["-n", two, "link", "set", "eth0", "down"])
    _told(running, "UP", m1="UP", m2="DOWN", m3="MAINT")
    assert {running.get(client, VIP)[1] for _ in range(6)} == {"one"}

    changed = replace(spec, listeners=(listener(timeout_client_data=40000),))
    running.apply(changed, 2)
    assert {running.get(client, VIP)[1] for _ in range(6)} == {"one"}

    worker = running.worker_pid(spec.amphora_id)
    running.stop()
    end(worker)
    wait_for(lambda: running.get(client, VIP) == (200, "one"))
    # Nobody but the file has told the HAProxy that s6 started.
    assert {running.get(client, VIP)[1] for _ in range(6)} == {"one"}
    running.start()
    assert {running.get(client, VIP)[1] for _ in range(6)} == {"one"}
    _told(running, "UP", m1="UP", m2="DOWN", m3="MAINT")

    _blackhole(running, spec, 1, "add")
    _told(running, "DOWN", m1="DOWN", m2="DOWN", m3="MAINT")
    assert running.get(client, VIP)[0] == 503
    _blackhole(running, spec, 1, "delete")
    _told(running, "UP", m1="UP", m2="DOWN", m3="MAINT")

    # Without a monitor nobody knows, and everybody is used.
    kernel.ip(["-n", two, "link", "set", "eth0", "up"])
    running.apply(replace(changed, pools=(pool(member(1), member(2, weight=0)),)), 3)
    _told(running, "UP", m1="no check", m2="DRAIN")
    running.apply(replace(changed, pools=(pool(member(1), member(2)),)), 4)
    wait_for(lambda: {running.get(client, VIP)[1] for _ in range(6)} == {"one", "two"})


def _serve(namespace: str, port: int, stop: Event, greet: Callable[[socket.socket], None]) -> Thread:
    opened = kernel.inside(namespace, lambda: socket.create_server(("", port)))
    opened.settimeout(0.1)

    def loop() -> None:
        with opened:
            while not stop.is_set():
                try:
                    stream, _peer = opened.accept()
                    stream.settimeout(2)
                    with stream:
                        greet(stream)
                except OSError:
                    continue

    thread = Thread(target=loop)
    thread.start()
    return thread


class _Checked:
    """Two servers at one address that write down what checks ask: port 443 in TLS by an unknown authority, and 80."""

    def __init__(self, namespace: str, directory: Path) -> None:
        self.requests: list[str] = []
        certificate = directory / "member.pem"
        certificate.write_bytes(Authority.open(directory / "members", "members").issue("member"))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sslsocket_class = ClosingSocket
        self._context.load_cert_chain(certificate)
        self._stop = Event()
        answers = {443: self._encrypted, 80: self._answer}
        self._threads = [_serve(namespace, port, self._stop, answer) for port, answer in answers.items()]

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _answer(self, stream: socket.socket) -> None:
        self.requests.append(stream.recv(4096).decode(errors="replace"))
        stream.sendall(b"HTTP/1.1 203 Fine\r\nContent-Length: 0\r\n\r\n")

    def _encrypted(self, stream: socket.socket) -> None:
        with self._context.wrap_socket(stream, server_side=True) as secured:
            self._answer(secured)


def test_tls_checks_want_tls_and_http_checks_ask_what_they_were_told(running: Lab, tmp_path: Path) -> None:
    servers = _Checked(running.namespace("members", "172.31.213.11"), tmp_path)
    try:
        both = (member(1, port=443), member(2, address="172.31.213.11"))
        running.apply(single((pool(*both, monitor=monitor(type=MonitorType.TLS_HELLO)),)))
        _told(running, "UP", m1="UP", m2="DOWN")
        # Nobody has signed that certificate whom the amphora knows.
        https = monitor(type=MonitorType.HTTPS, expected_codes="200-204")
        running.apply(single((pool(*both, monitor=https),)), 2)
        _told(running, "UP", m1="UP", m2="DOWN")

        servers.requests.clear()
        http = monitor(
            http_method="HEAD", url_path="/a?b=c", expected_codes="200, 203", http_version=1.1, domain_name="x.example"
        )
        running.apply(single((pool(*both, monitor=http),)), 3)
        _told(running, "UP", m1="DOWN", m2="UP")
        asked = [text for text in servers.requests if text.startswith("HEAD /a?b=c HTTP/1.1\r\n")]
        assert "\r\nhost: x.example\r\n" in asked[0].lower()

        servers.requests.clear()
        running.apply(single((pool(*both, monitor=monitor(expected_codes="200")),)), 4)
        _told(running, "DOWN", m1="DOWN", m2="DOWN")
        assert "GET / HTTP/1.0\r\n\r\n" in [text.replace("\r\nconnection: close", "") for text in servers.requests]
    finally:
        servers.stop()
