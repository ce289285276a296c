"""Real requests to a load balancer: over HTTP, with TLS or without, through TCP, over UDP."""

import http.client
import json
import selectors
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import httpx
from msgspec import Struct

from tests.crash.members import APPLICATION_COOKIES, TOLD
from tests.crash.model import Thing
from tests.crash.prediction import COOKIE, HEADER, Request

#: seconds. A member that takes no connection is tried four times, a second apart, before its clients get 503
_PATIENCE = 6.0
#: seconds after which a datagram has no answer
_SILENCE = 0.3
#: what a client claims, which a load balancer that inserts the header does not believe
CLAIMED = {"X-Forwarded-For": "192.0.2.1", "X-SSL-Client-CN": "mallory"}
#: the cookie of session persistence
SESSION = "SRV"


class Seen(Struct, frozen=True, kw_only=True):
    """An answer. `who`: the member, if it came from one; `cookies`: those of persistence that it set; `told`: headers
    that the member was told, with names in lower case; `source`: the client's address; `strict`: the header of HSTS."""

    who: str | None = None
    status: int = 0
    location: str | None = None
    strict: str | None = None
    cookies: Mapping[str, str] = {}
    told: Mapping[str, str] = {}
    source: str = ""


class Way(Struct, frozen=True):
    """From an address of this machine to a port of a VIP."""

    source: str
    vip: str
    port: int

    def connect(self) -> socket.socket:
        """A connection. Raises OSError."""
        return socket.create_connection((self.vip, self.port), _PATIENCE, source_address=(self.source, 0))


def ask(
    way: Way, listener: Thing, request: Request, context: ssl.SSLContext, cookies: Mapping[str, str] | None = None
) -> Seen:
    """One request by a client of its own. `context`: how it speaks TLS, where it does; `cookies`: those of persistence
    that it has. Without an answer the status is 0, and 503 where the protocol knows none."""
    protocol = listener.values["protocol"]
    if protocol == "UDP":
        return Seen(who=datagram(way), status=503)
    connection = _connection(way, context if protocol == "TERMINATED_HTTPS" else None)
    seen = _http(connection, request, cookies or {})
    # A connection that is closed without an answer is what 503 is to HTTP.
    return Seen(status=503) if protocol == "TCP" and seen.who is None else seen


def ask_by_http2(way: Way, request: Request, context: ssl.SSLContext) -> Seen:
    """One request over HTTP/2. `context` is altered. Without an answer over HTTP/2 the status is 0."""
    transport = httpx.HTTPTransport(verify=context, http2=True, http1=False, local_address=way.source)
    host = f"[{way.vip}]" if ":" in way.vip else way.vip
    with httpx.Client(transport=transport, timeout=_PATIENCE) as client:
        try:
            answer = client.get(f"https://{host}:{way.port}{request.target}", headers=_headers(request, {}))
        except httpx.HTTPError:
            return Seen()
    return Seen(
        who=answer.text if answer.status_code == 200 else None,
        status=answer.status_code if answer.http_version == "HTTP/2" else 0,
        location=answer.headers.get("Location"),
        strict=answer.headers.get("Strict-Transport-Security"),
        told=json.loads(answer.headers.get(TOLD, "{}")),
        source=way.source,
    )


def _http(connection: http.client.HTTPConnection, request: Request, cookies: Mapping[str, str]) -> Seen:
    try:
        connection.connect()
        source = connection.sock.getsockname()[0]
        connection.request("GET", request.target, headers=_headers(request, cookies))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        return Seen(
            who=text if answer.status == 200 else None,
            status=answer.status,
            location=answer.getheader("Location"),
            strict=answer.getheader("Strict-Transport-Security"),
            cookies=_persistent(answer),
            told=json.loads(answer.getheader(TOLD, "{}")),
            source=source,
        )
    except (OSError, http.client.HTTPException):
        return Seen()
    finally:
        connection.close()


def _connection(way: Way, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    source = (way.source, 0)
    if context is not None:
        return http.client.HTTPSConnection(way.vip, way.port, timeout=_PATIENCE, source_address=source, context=context)
    return http.client.HTTPConnection(way.vip, way.port, timeout=_PATIENCE, source_address=source)


def _headers(request: Request, cookies: Mapping[str, str]) -> dict[str, str]:
    headers = {"Host": request.host, **CLAIMED}
    if request.header is not None:
        headers[HEADER] = request.header
    own = {} if request.cookie is None else {COOKIE: request.cookie}
    given = [f"{name}={value}" for name, value in {**own, **cookies}.items()]
    return {**headers, "Cookie": "; ".join(given)} if given else headers


def _persistent(answer: http.client.HTTPResponse) -> dict[str, str]:
    texts = [text.partition(";")[0].partition("=") for text in answer.headers.get_all("Set-Cookie", [])]
    return {name: value for name, _, value in texts if name in (SESSION, *APPLICATION_COOKIES)}


class Greeting(Struct, frozen=True):
    """What a server agreed to: the certificate that it showed, the version of TLS, and the application protocol."""

    certificate: bytes | None
    version: str | None
    protocol: str | None


def greet(way: Way, name: str | None, context: ssl.SSLContext) -> Greeting | None:
    """A handshake with who answers for `name`, or for none. None: it failed."""
    try:
        with way.connect() as plain, context.wrap_socket(plain, server_hostname=name) as stream:
            return Greeting(stream.getpeercert(binary_form=True), stream.version(), stream.selected_alpn_protocol())
    except OSError:
        return None


def metrics(way: Way) -> tuple[int, str]:
    """Status and text of a scrape; status 0 without an answer."""
    connection = _connection(way, None)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def datagram(way: Way) -> str | None:
    """The answer to a datagram from a port of its own."""
    return datagrams([way]).get(way)


def datagrams(ways: Sequence[Way]) -> dict[Way, str]:
    """The answers to a datagram on each way, from ports of their own; nothing of those that are silent."""
    answers = {}
    with ExitStack() as opened, selectors.DefaultSelector() as waiting:
        for way in ways:
            family = socket.AF_INET6 if ":" in way.vip else socket.AF_INET
            client = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            client.bind((way.source, 0))
            client.connect((way.vip, way.port))
            with suppress(OSError):
                client.send(b"who")
            waiting.register(client, selectors.EVENT_READ, way)
        deadline = time.monotonic() + _SILENCE
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _events in waiting.select(left):
                waiting.unregister(key.fileobj)
                # Where nobody listens the kernel says so.
                with suppress(OSError):
                    answers[key.data] = _receive(key.fileobj)
    return answers


def _receive(client: Any) -> str:
    text: bytes = client.recv(100)
    return text.decode()


def connects(way: Way) -> bool:
    """Whether connections are taken."""
    try:
        way.connect().close()
    except OSError:
        return False
    return True
