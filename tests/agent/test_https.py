"""Who gets in, and what strangers can do."""

import os
import socket
import ssl
import struct
import time

import msgspec
import pytest
import urllib3

from livia.agent.https import tls_context
from livia.agent.server import LARGEST_BODY
from livia.core.spec import Assignment
from livia.pki.authority import Authority
from tests.agent.lab import Lab, single


def test_only_controllers_get_in(running: Lab) -> None:
    stranger = running.directory / "stranger.pem"
    stranger.write_bytes(Authority.open(running.directory / "strangers", "strangers").issue("controller"))
    for certificate in (None, stranger):
        pool = running.connect(certificate)
        with pytest.raises((urllib3.exceptions.HTTPError, OSError)):
            pool.request("GET", "/v1/info", retries=False)
        pool.close()
    assert running.request("GET", "/v1/info").status == 200


def test_old_tls_is_refused(running: Lab) -> None:
    context = ssl.create_default_context(cafile=str(running.agents_ca))
    context.load_cert_chain(running.client_certificate)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    address = ("127.0.0.1", running.config.bind_port)
    with (
        socket.create_connection(address) as stream,
        context.wrap_socket(stream, server_hostname="host-1", do_handshake_on_connect=False) as encrypted,
        pytest.raises(ssl.SSLError),
    ):
        encrypted.do_handshake()


def test_who_goes_before_the_handshake_leaves_no_socket_open(lab: Lab) -> None:
    context = tls_context(lab.config.certificate, lab.config.client_ca)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = socket.create_connection(listening.getsockname())
        accepted, _address = listening.accept()
        # No lingering: closing resets the connection.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        number = accepted.fileno()
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(accepted, server_side=True)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_garbage_and_silence_keep_nobody_waiting(running: Lab) -> None:
    address = ("127.0.0.1", running.config.bind_port)
    silent = [socket.create_connection(address) for _ in range(50)]
    noisy = [socket.create_connection(address) for _ in range(20)]
    for stream in noisy:
        stream.sendall(os.urandom(500))
    begin = time.monotonic()
    assert running.request("GET", "/v1/info").status == 200
    # One after the other, the silent ones alone would take minutes.
    assert time.monotonic() - begin < 20
    for stream in silent + noisy:
        stream.close()


def test_connections_are_kept(running: Lab) -> None:
    pool = running.connect(running.client_certificate)
    for _ in range(5):
        assert pool.request("GET", "/v1/info").status == 200
    assert pool.num_connections == 1
    pool.close()


@pytest.mark.parametrize(
    "method, path, body, status, code",
    [
        ("PUT", "/v1/amphorae/a-1", b"{", 400, "invalid_spec"),
        ("PUT", "/v1/amphorae/a-1", b"{}", 400, "invalid_spec"),
        ("PUT", "/v1/amphorae/a-1", b"\xff\xfe", 400, "invalid_spec"),
        ("GET", "/v1/amphorae/a-1", None, 404, "not_found"),
        ("DELETE", "/v1/amphorae/a-1?fence=x", None, 400, "invalid_spec"),
        ("DELETE", "/v1/amphorae/..?fence=1", None, 400, "invalid_spec"),
        ("PUT", "/v1/amphorae/a%0Ab", b"{}", 400, "invalid_spec"),
    ],
)
def test_bad_requests_get_reasons(
    running: Lab, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answer = running.request(method, path, body)
    assert (answer.status, answer.json()["code"]) == (status, code)


def test_a_spec_for_another_amphora_is_refused(running: Lab) -> None:
    body = msgspec.json.encode(Assignment(fence=1, generation=1, spec=single((), ())))
    for name in ("amphora-6", "..", "amphora%205"):
        answer = running.request("PUT", f"/v1/amphorae/{name}", body)
        assert (answer.status, answer.json()["code"]) == (400, "invalid_spec")


def test_too_large_a_body_is_refused(running: Lab) -> None:
    pool = running.connect(running.client_certificate)
    headers = {"Content-Length": str(LARGEST_BODY + 1)}
    answer = pool.request("PUT", "/v1/amphorae/a-1", body=b"", headers=headers, retries=False)
    assert answer.status == 413
    pool.close()


def test_metrics_count(running: Lab) -> None:
    running.apply(single((), ()))
    text = running.request("GET", "/metrics").data.decode()
    assert 'livia_agent_applies_total{outcome="applied"} 1.0' in text
    assert "livia_agent_amphorae 1.0" in text
    assert [each["amphora_id"] for each in running.request("GET", "/v1/amphorae").json()] == ["amphora-5"]
