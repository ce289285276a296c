"""What a listener's timeouts do to clients and members that are slow or silent."""

import socket
import time
from threading import Event

import pytest

from livia.core.model.listener import ListenerProtocol
from tests.agent.lab import VIP, listener, member, pool
from tests.agent.members import HttpServer, Request, Server, Stream, answer, connect, request, response
from tests.agent.site import MEMBERS, Site
from tests.waiting import wait_for

HTTP, TCP, INSPECTED, ENDLESS, LONGEST = 80, 81, 82, 83, 84
_SHORT = {"timeout_client_data": 1500, "timeout_member_connect": 300, "timeout_member_data": 1500}
_ALL = ("timeout_client_data", "timeout_member_connect", "timeout_member_data", "timeout_tcp_inspect")


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    tcp = {"protocol": ListenerProtocol.TCP}
    site.apply(
        (
            pool(member(1, port=8001)),
            pool(member(2, address="172.31.213.250", port=8001), member(3, address=MEMBERS, port=8001), id="silent"),
        ),
        listener(id="http", port=HTTP, **_SHORT),
        listener(id="tcp", port=TCP, **_SHORT, **tcp),
        listener(id="inspected", port=INSPECTED, timeout_tcp_inspect=500, **tcp),
        listener(id="endless", port=ENDLESS, **dict.fromkeys(_ALL, 0)),
        listener(id="longest", port=LONGEST, **dict.fromkeys(_ALL, 2073600000), **tcp),
        listener(id="silent", port=85, default_pool_id="silent", **_SHORT),
    )
    return site


def test_a_silent_member_is_a_504(site: Site) -> None:
    over = Event()
    with Server(site.members, 8001, lambda _stream: over.wait(5)):
        started = time.monotonic()
        status, text = site.ask(HTTP)
        over.set()
    assert (status, "The server didn't respond in time" in text) == (504, True)
    assert time.monotonic() - started >= 1.4


def test_a_silent_member_ends_a_connection_of_bytes(site: Site) -> None:
    over = Event()
    with Server(site.members, 8001, lambda _stream: over.wait(5)), connect(site.client, VIP, TCP) as stream:
        assert stream.rest() == b""
        over.set()


def test_a_member_that_takes_no_connection_is_left_for_another(site: Site) -> None:
    with HttpServer(site.members, 8001):
        assert [site.ask(85)[0] for _ in range(2)] == [200, 200]
    assert int(site.counted("silent:silent", "m2", "wredis")) > 0
    assert site.counted("silent:silent", "BACKEND", "econ") == "0"


def test_a_silent_client_is_cut_off(site: Site) -> None:
    with Server(site.members, 8001, lambda stream: stream.rest()):
        with connect(site.client, VIP, HTTP) as stream:
            stream.socket.sendall(b"GET / HT")
            assert response(stream).status == 408
        with connect(site.client, VIP, TCP) as stream:
            stream.socket.sendall(b"x")
            assert stream.rest() == b""


def test_a_head_that_comes_byte_by_byte_is_no_way_to_stay(site: Site) -> None:
    with connect(site.client, VIP, HTTP) as stream:
        stream.socket.settimeout(0.1)
        data = b""
        for byte in request("X-Slow: " + "a" * 100):
            stream.socket.sendall(bytes([byte]))
            try:
                data = stream.read()
                break
            except TimeoutError:
                continue
    assert data.startswith(b"HTTP/1.1 408 ")


def test_a_body_may_be_as_slow_as_it_wants_while_it_comes(site: Site) -> None:
    def reply(stream: Stream, _request: Request) -> None:
        stream.socket.sendall(answer(stream.exactly(10).decode()))

    with HttpServer(site.members, 8001, reply), connect(site.client, VIP, HTTP) as stream:
        stream.socket.sendall(request("Content-Length: 10", method="POST"))
        for _ in range(10):
            time.sleep(0.1)
            stream.socket.sendall(b"x")
        assert response(stream).body == b"x" * 10


def test_a_connection_is_kept_as_long_as_a_client_may_be_silent(site: Site) -> None:
    with HttpServer(site.members, 8001), connect(site.client, VIP, HTTP) as stream:
        for _ in range(2):
            time.sleep(0.3)
            asked = time.monotonic()
            stream.socket.sendall(request())
            assert response(stream).status == 200
        assert stream.rest() == b""
        assert time.monotonic() - asked >= 1.4


def test_members_meet_clients_that_have_spoken_or_had_their_time(site: Site) -> None:
    with Server(site.members, 8001, lambda stream: stream.socket.sendall(b"220 welcome\r\n")) as server:
        with connect(site.client, VIP, INSPECTED) as stream:
            time.sleep(0.2)
            assert server.connections == 0
            stream.socket.sendall(b"hello")
            assert stream.until(b"\r\n") == b"220 welcome"
        # A protocol in which the member speaks first is late, and works.
        with connect(site.client, VIP, INSPECTED) as stream:
            assert stream.until(b"\r\n") == b"220 welcome"


def test_no_timeout_and_the_longest_one_serve(site: Site) -> None:
    with HttpServer(site.members, 8001) as server:
        with connect(site.client, VIP, ENDLESS) as stream:
            time.sleep(0.2)
            stream.socket.sendall(request())
            assert response(stream).status == 200
        # The longest wait for a client's first byte ends with that byte.
        assert site.ask(LONGEST)[0] == 200
    assert len(server.requests) == 2
    log = site.lab.config.state_directory / "amphorae" / "amphora-5"
    assert not [path for path in log.glob("*.log") if "missing timeouts" in path.read_text(errors="replace")]


def test_a_client_that_hangs_up_frees_its_member(site: Site) -> None:
    ended: list[bytes] = []
    with Server(site.members, 8001, lambda stream: ended.append(stream.rest())):
        stream = connect(site.client, VIP, TCP)
        stream.socket.sendall(b"bye")
        stream.socket.shutdown(socket.SHUT_WR)
        wait_for(lambda: ended == [b"bye"])
        stream.socket.close()
