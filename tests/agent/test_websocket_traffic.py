"""WebSockets through a VIP: the upgrade, how long they may be silent, and that they outlive reloads."""

import socket
import ssl
import time
from collections.abc import Iterator
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_websocket
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from livia.agent.plumbing import kernel
from livia.core.spec import ListenerSpec, PoolSpec
from livia.pki.sockets import ClosingSocket
from tests.agent.lab import VIP, listener, member, pool
from tests.agent.site import Site
from tests.agent.tls_site import termination, tls_listener
from tests.keymaterial import INTERMEDIATE, ROOT
from tests.keymaterial import WEB as WWW

#: ports of the listeners
WEB, IMPATIENT, ENCRYPTED = 80, 81, 443
_PEM = WWW.text(INTERMEDIATE)
_SILENCE = 2000
_CHAT = Subprotocol("chat")
#: monotonic seconds of what the member said unasked
_spoken: list[float] = []


def _talk(connection: ServerConnection) -> None:
    """Echo; "push" asks for ten messages, one every 0.3 s."""
    for message in connection:
        if message != "push":
            connection.send(message)
            continue
        for number in range(10):
            time.sleep(0.3)
            _spoken.append(time.monotonic())
            connection.send(str(number))


@pytest.fixture(scope="module", autouse=True)
def members(site: Site) -> Iterator[None]:
    listening = kernel.inside(site.members, lambda: socket.create_server(("", 8001)))
    with serve(_talk, sock=listening, subprotocols=[_CHAT], ping_interval=None) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            site.apply(*_wanted(50000), texts=(_PEM,))
            yield
        finally:
            server.shutdown()
            thread.join()


def _wanted(timeout: int) -> tuple[tuple[PoolSpec, ...], ListenerSpec, ListenerSpec, ListenerSpec]:
    silence = {"timeout_client_data": _SILENCE, "timeout_member_data": _SILENCE}
    return (
        (pool(member(1, port=8001)),),
        listener(timeout_client_data=timeout),
        listener(id="impatient", port=IMPATIENT, **silence),
        tls_listener(termination(_PEM), id="encrypted"),
    )


def _open(site: Site, port: int) -> ClientConnection:
    plain = kernel.inside(site.client, lambda: socket.create_connection((VIP, port), 5))
    plain.settimeout(None)
    if port != ENCRYPTED:
        return open_websocket(f"ws://{VIP}:{port}/talk", sock=plain, subprotocols=[_CHAT], ping_interval=None)
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.sslsocket_class = ClosingSocket
    # As browsers do: a WebSocket has a connection of HTTP/1.1 to itself.
    context.set_alpn_protocols(["http/1.1"])
    return open_websocket(
        "wss://www.example.net/talk", sock=plain, ssl=context, subprotocols=[_CHAT], ping_interval=None
    )


@pytest.mark.parametrize("port", [WEB, ENCRYPTED])
def test_messages_go_both_ways(site: Site, port: int) -> None:
    with _open(site, port) as websocket:
        assert websocket.subprotocol == "chat"
        for message in ("hello", b"\0\1", "x" * 500_000):
            websocket.send(message)
            assert websocket.recv(5) == message
        assert websocket.ping().wait(5)


def test_silence_of_both_sides_ends_a_websocket_and_a_word_of_either_does_not(site: Site) -> None:
    with _open(site, IMPATIENT) as websocket:
        # The member alone speaks for longer than either may be silent.
        websocket.send("push")
        assert [websocket.recv(5) for _ in range(10)] == [str(number) for number in range(10)]
        with pytest.raises(ConnectionClosed):
            websocket.recv(30)
        assert time.monotonic() - _spoken[-1] >= _SILENCE / 1000 - 0.1
    with _open(site, IMPATIENT) as websocket:
        # So do pings, which browsers and libraries send by themselves.
        for _ in range(4):
            time.sleep(0.6)
            assert websocket.ping().wait(5)


def test_websockets_outlive_reloads(site: Site) -> None:
    worker = site.worker.pid()
    with _open(site, WEB) as websocket:
        for timeout in range(40000, 40003):
            site.apply(*_wanted(timeout), texts=(_PEM,))
            websocket.send(str(timeout))
            assert websocket.recv(5) == str(timeout)
        with _open(site, WEB) as other:
            other.send("to the one that serves now")
            assert other.recv(5) == "to the one that serves now"
        websocket.send("still here")
        assert websocket.recv(5) == "still here"
    assert site.worker.pid() != worker
