"""gRPC and HTTP/2 from client to member: through listeners that end TLS and pools that begin it, and as plain bytes."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import grpc
import pytest

from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PoolProtocol
from livia.core.spec import name_of
from tests.agent import grpc_client
from tests.agent.lab import VIP, listener, member, pool
from tests.agent.site import Site
from tests.agent.tls_site import member_tls, termination, tls_listener
from tests.keymaterial import INTERMEDIATE, ROOT, WEB
from tests.waiting import wait_for

#: ports of the listeners: ends TLS, passes it on, passes plain bytes on
ENDED, PASSED, PLAIN = 443, 444, 80
_PEM = WEB.text(INTERMEDIATE)
#: seconds: a call that nobody ended is noted too late
_LONGER_THAN_THE_TEST = 20.0


class Talk(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers in bytes, and notes which calls were ended by the client."""

    def __init__(self) -> None:
        self.ended: list[bytes] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "Talk": grpc.stream_stream_rpc_method_handler(lambda messages, _context: messages),
            "Sleep": grpc.unary_unary_rpc_method_handler(self._sleep),
            "Stream": grpc.unary_stream_rpc_method_handler(self._stream),
        }.get(handler_call_details.method.rpartition("/")[2])

    def _echo(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        asked = dict(context.invocation_metadata())["x-asked"]
        context.set_trailing_metadata((("x-seen", str(asked)),))
        return message

    def _fail(self, _message: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_code(grpc.StatusCode.FAILED_PRECONDITION)
        context.set_details("not today")
        return b""

    def _note_end(self, message: bytes, context: grpc.ServicerContext) -> Event:
        """Asked for before anything is sent, for a client that goes at once lets no handler go on."""
        over = Event()

        def end() -> None:
            self.ended.append(message)
            over.set()

        if not context.add_callback(end):
            end()
        return over

    def _sleep(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        self._note_end(message, context).wait(_LONGER_THAN_THE_TEST)
        return b""

    def _stream(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        over = self._note_end(message, context)
        yield b"first"
        over.wait(_LONGER_THAN_THE_TEST)


@pytest.fixture(scope="module")
def talk(site: Site) -> Iterator[Talk]:
    """A gRPC server with TLS on port 8443 and without on 8080 of the members' namespace."""
    talk = Talk()
    server = grpc.server(ThreadPoolExecutor(8), handlers=(talk,))
    key, chain = WEB.key_pem(), WEB.pem + INTERMEDIATE.pem
    kernel.inside(site.members, lambda: server.add_insecure_port("0.0.0.0:8080"))
    credentials = grpc.ssl_server_credentials([(key, chain)])
    kernel.inside(site.members, lambda: server.add_secure_port("0.0.0.0:8443", credentials))
    server.start()
    try:
        yield talk
    finally:
        server.stop(0).wait()


@pytest.fixture(scope="module", autouse=True)
def served(site: Site, talk: Talk) -> Site:
    bytes_ = {"protocol": ListenerProtocol.TCP}
    authority = ROOT.pem.decode()
    (site.lab.directory / "root.pem").write_text(authority)
    site.apply(
        (
            pool(member(1, port=8443), id="encrypted", tls=member_tls(alpn=("h2",), ca=name_of(authority))),
            pool(member(1, port=8443), id="passed", protocol=PoolProtocol.TCP),
            pool(member(1, port=8080), id="plain", protocol=PoolProtocol.TCP),
        ),
        tls_listener(termination(_PEM), id="ended", default_pool_id="encrypted"),
        listener(id="passed", port=PASSED, default_pool_id="passed", **bytes_),
        listener(id="plain", port=PLAIN, default_pool_id="plain", **bytes_),
        texts=(_PEM, authority),
    )
    return site


@pytest.mark.parametrize("port", [ENDED, PASSED, PLAIN])
def test_every_kind_of_call_ends_as_it_should(site: Site, talk: Talk, port: int) -> None:
    talk.ended.clear()
    authority = "-" if port == PLAIN else str(site.lab.directory / "root.pem")
    said = json.loads(site.run(sys.executable, str(Path(grpc_client.__file__)), f"{VIP}:{port}", authority))
    assert said == {
        "unary": {"length": 100_000, "trailer": "yes", "code": "OK"},
        "failure": {"code": "FAILED_PRECONDITION", "details": "not today"},
        "both_ways": [str(number) for number in range(20)],
        "deadline": "DEADLINE_EXCEEDED",
        "cancel": "CANCELLED",
    }
    # The member hears of it, too: it need not work on for nobody.
    wait_for(lambda: sorted(talk.ended) == [b"cancel", b"deadline"])
