"""HTTP through a VIP: bodies, connections, retries and refusals, between clients and members of the tests' own."""

import random
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from msgspec.structs import replace

from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, PoolProtocol
from tests.agent.lab import VIP, listener, member, pool
from tests.agent.members import (
    HttpServer,
    Request,
    Server,
    Stream,
    answer,
    body,
    connect,
    head,
    reply_with_body_length,
    request,
    response,
)
from tests.agent.site import MEMBERS, Site

GIB = 1 << 30
_BLOCK = random.Random(7).randbytes(1 << 20)
#: ports of the listeners
PLAIN, FAILING, DEAD, EMPTY, TCP, NOTHING = 80, 81, 82, 83, 84, 85


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    good = member(1, port=8001)
    dead = member(2, address=MEMBERS, port=8999)
    bad = member(3, address=MEMBERS, port=8003)
    site.apply(
        (
            pool(good, id="plain"),
            pool(bad, replace(good, id="m4"), id="failing"),
            pool(dead, good, id="dead", algorithm=Algorithm.LEAST_CONNECTIONS),
            pool(good, id="tcp", protocol=PoolProtocol.TCP),
        ),
        listener(id="plain", port=PLAIN, default_pool_id="plain"),
        listener(id="failing", port=FAILING, default_pool_id="failing"),
        listener(id="dead", port=DEAD, default_pool_id="dead"),
        listener(id="empty", port=EMPTY, default_pool_id=None),
        listener(id="tcp", port=TCP, default_pool_id="tcp", protocol=ListenerProtocol.TCP),
        listener(id="nothing", port=NOTHING, default_pool_id=None, protocol=ListenerProtocol.TCP),
    )
    return site


def _echo(stream: Stream, request: Request) -> None:
    """Send the body back while it comes."""
    stream.socket.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {request.headers['content-length']}\r\n\r\n".encode())
    for part in body(stream, request.headers):
        stream.socket.sendall(part)


def _echo_bytes(stream: Stream) -> None:
    while part := stream.read():
        stream.socket.sendall(part)


@pytest.mark.parametrize("port", [PLAIN, TCP])
def test_a_gibibyte_goes_both_ways_and_stays_nowhere(site: Site, port: int) -> None:
    before = site.resident()
    server = HttpServer(site.members, 8001, _echo) if port == PLAIN else Server(site.members, 8001, _echo_bytes)
    with server:
        stream = connect(site.client, VIP, port, 60)
        if port == PLAIN:
            stream.socket.sendall(request(f"Content-Length: {GIB}", method="PUT"))
        sent = 0

        def send() -> None:
            nonlocal sent
            for _ in range(GIB // len(_BLOCK)):
                stream.socket.sendall(_BLOCK)
                sent = zlib.crc32(_BLOCK, sent)

        sender = Thread(target=send)
        sender.start()
        if port == PLAIN:
            assert head(stream)[0][1] == "200"
        received, count = 0, 0
        while count < GIB:
            part = stream.read()
            assert part, "it ended early"
            received = zlib.crc32(part, received)
            count += len(part)
        sender.join()
        stream.socket.close()
    assert (count, received) == (GIB, sent)
    assert site.resident() - before < 32 * 1024


def test_bodies_in_chunks_with_trailers(site: Site) -> None:
    def reply(stream: Stream, _request: Request) -> None:
        message = stream.until(b"\r\n0\r\n") + b"\r\n0\r\n" + stream.until(b"\r\n\r\n") + b"\r\n\r\n"
        stream.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + message)

    with HttpServer(site.members, 8001, reply), connect(site.client, VIP, PLAIN) as stream:
        stream.socket.sendall(request("Transfer-Encoding: chunked", "Trailer: X-Sum", method="POST"))
        for part in (b"6\r\nhello \r\n", b"5\r\nworld\r\n", b"0\r\nX-Sum: 11\r\n\r\n"):
            stream.socket.sendall(part)
        assert head(stream)[1]["transfer-encoding"] == "chunked"
        text = stream.until(b"\r\n\r\n")
    assert text.lower().endswith(b"world\r\n0\r\nx-sum: 11")


def test_a_client_that_asks_first_is_told_to_continue(site: Site) -> None:
    def reply(stream: Stream, request: Request) -> None:
        if request.headers.get("expect") == "100-continue":
            stream.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        reply_with_body_length(stream, request)

    with HttpServer(site.members, 8001, reply) as server, connect(site.client, VIP, PLAIN) as stream:
        stream.socket.sendall(request("Expect: 100-continue", "Content-Length: 6", method="POST"))
        first = response(stream)
        stream.socket.sendall(b"abcdef")
        second = response(stream)
    assert (first.status, second.status, second.body) == (100, 200, b"6")
    assert server.requests[0].headers["expect"] == "100-continue"


def test_heads_have_lengths_and_no_bodies(site: Site) -> None:
    def reply(stream: Stream, request: Request) -> None:
        said = answer("x" * 500)
        stream.socket.sendall(said[: said.index(b"\r\n\r\n") + 4] if request.method == "HEAD" else said)

    with HttpServer(site.members, 8001, reply), connect(site.client, VIP, PLAIN) as stream:
        stream.socket.sendall(request(method="HEAD") + request())
        first, second = response(stream, to="HEAD"), response(stream)
    assert (first.headers["content-length"], first.body) == ("500", b"")
    assert second.body == b"x" * 500


def test_requests_sent_at_once_are_answered_in_order_over_one_connection(site: Site) -> None:
    with (
        HttpServer(site.members, 8001, lambda stream, request: stream.socket.sendall(answer(request.target))) as server,
        connect(site.client, VIP, PLAIN) as stream,
    ):
        stream.socket.sendall(b"".join(request(target=f"/{number}") for number in range(50)))
        answers = [response(stream).body for _ in range(50)]
    assert answers == [f"/{number}".encode() for number in range(50)]
    assert server.connections == 1


def test_clients_share_connections_to_members(site: Site) -> None:
    with HttpServer(site.members, 8001) as server:
        streams = [connect(site.client, VIP, PLAIN) for _ in range(10)]
        for _round in range(10):
            for stream in streams:
                stream.socket.sendall(request())
                assert response(stream).status == 200
        for stream in streams:
            stream.socket.close()
    assert len(server.requests) == 100
    assert server.connections <= 10


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(("X-Large: " + "a" * 14000,), 200, id="14 kB"),
        pytest.param(("X-Large: " + "a" * 20000,), 400, id="20 kB"),
        pytest.param(tuple(f"X-{number}: a" for number in range(95)), 200, id="95 headers"),
        pytest.param(tuple(f"X-{number}: a" for number in range(150)), 400, id="150 headers"),
        pytest.param(("Content-Length: 1", "Content-Length: 2"), 400, id="two lengths"),
        pytest.param(("Broken header: a",), 400, id="no header"),
    ],
)
def test_what_heads_may_be_like(site: Site, lines: tuple[str, ...], status: int) -> None:
    with HttpServer(site.members, 8001) as server:
        assert site.ask(PLAIN, *lines)[0] == status
    assert len(server.requests) == (status == 200)


def test_no_client_gets_past_the_rules_by_an_upgrade_to_http2(site: Site) -> None:
    with HttpServer(site.members, 8001) as server:
        said = site.run("curl", "-sS", "--http2", "-w", " %{http_version} %{http_code}", f"http://{VIP}/")
    assert said == "8001 1.1 200"
    assert "upgrade" not in server.requests[0].headers


def test_http2_without_tls_is_spoken_with_those_who_know(site: Site) -> None:
    with HttpServer(site.members, 8001) as server:
        command = ["curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}", f"http://{VIP}/"]
        said = site.run(*command)
        load = site.run("h2load", "-n", "200", "-c", "2", "-m", "20", f"http://{VIP}/")
    assert said == "8001 2 200"
    assert "200 succeeded, 0 failed, 0 errored" in load
    assert server.requests[0].headers["host"] == VIP


def test_a_dead_member_costs_no_request(site: Site) -> None:
    with HttpServer(site.members, 8001) as server:
        answers = {site.ask(DEAD, "Content-Length: 0", method="POST") for _ in range(4)}
    assert answers == {(200, "8001")}
    assert len(server.requests) == 4


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("HEAD", True), ("POST", False), ("PUT", False)])
def test_only_harmless_requests_are_sent_again(site: Site, method: str, *, again: bool) -> None:
    def die(stream: Stream) -> None:
        head(stream)
        tried.append(method)

    tried: list[str] = []
    with Server(site.members, 8003, die), HttpServer(site.members, 8001) as server:
        answers = [site.ask(FAILING, "Content-Length: 0", method=method)[0] for _ in range(4)]
    assert tried
    if again:
        assert (answers, len(server.requests)) == ([200] * 4, 4)
    else:
        assert (answers.count(502), answers.count(200)) == (len(tried), len(server.requests))
        assert len(tried) + len(server.requests) == 4


def _answer_once(dropped: list[str]) -> Callable[[Stream], None]:
    """A member that hangs up upon the second request of a connection, as one does that was about to close it."""

    def handle(stream: Stream) -> None:
        head(stream)
        stream.socket.sendall(answer("8003"))
        head(stream)
        dropped.append("dropped")

    return handle


def test_a_member_that_hangs_up_after_a_pause_costs_no_request(site: Site) -> None:
    dropped: list[str] = []
    with (
        Server(site.members, 8003, _answer_once(dropped)),
        HttpServer(site.members, 8001),
        connect(site.client, VIP, FAILING) as stream,
    ):
        for _ in range(6):
            stream.socket.sendall(request())
            assert response(stream).status == 200
            # Longer than the clock stays within a second.
            time.sleep(1.01)
    assert dropped


def test_who_asks_without_pause_is_told_to_ask_again(site: Site) -> None:
    dropped: list[str] = []
    # All have asked within one second when the clock has not moved on: tried until that was so.
    for _ in range(50):
        with (
            Server(site.members, 8003, _answer_once(dropped)),
            HttpServer(site.members, 8001),
            connect(site.client, VIP, FAILING) as stream,
        ):
            second = int(time.time())
            answers = list(_answers(stream, 6))
            if dropped and int(time.time()) == second:
                break
        dropped.clear()
    assert (len(dropped), len(answers) < 6) == (1, True)


def _answers(stream: Stream, most: int) -> Iterator[int]:
    """Statuses of requests on one connection, until it is closed without an answer."""
    for _ in range(most):
        stream.socket.sendall(request())
        try:
            yield response(stream).status
        except EOFError:
            return


def test_nobody_there_is_a_503_that_says_so(site: Site) -> None:
    status, text = site.ask(EMPTY)
    assert (status, "No server is available to handle this request" in text) == (503, True)
    assert site.ask(NOTHING) == (0, "")


def test_a_slow_reader_loses_nothing(site: Site) -> None:
    text = "x" * 3_000_000
    with (
        HttpServer(site.members, 8001, lambda stream, _request: stream.socket.sendall(answer(text))),
        connect(site.client, VIP, PLAIN) as stream,
    ):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.socket.sendall(request())
        time.sleep(0.5)
        assert response(stream).body.decode() == text
