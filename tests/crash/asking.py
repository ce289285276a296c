"""Real requests to a load balancer: over HTTP, with TLS or without, through TCP, over UDP."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping

from msgspec import Struct

from tests.crash.members import TOLD
from tests.crash.model import Thing
from tests.crash.prediction import COOKIE, HEADER, Request

#: seconds. A member that takes no connection is tried four times, a second apart, before its clients get 503
_PATIENCE = 6.0
#: what a client claims, which a load balancer that inserts the header does not believe
CLAIMED = {"X-Forwarded-For": "192.0.2.1"}
#: the cookie of session persistence
SESSION = "SRV"


def _trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TRUSTING = _trusting()


class Seen(Struct, frozen=True, kw_only=True):
    """An answer. `who`: the member, if it came from one; `session`: its persistence cookie, where it set one;
    `told`: headers that the member was told, with names in lower case; `source`: the client's address."""

    who: str | None = None
    status: int = 0
    location: str | None = None
    session: str | None = None
    told: Mapping[str, str] = {}
    source: str = ""


def ask(vip: str, listener: Thing, request: Request, session: str | None = None) -> Seen:
    """One request by a client of its own. `session`: the persistence cookie that it has. Without an answer the status
    is 0, and 503 where the protocol knows none."""
    protocol, port = listener.values["protocol"], listener.values["protocol_port"]
    if protocol == "UDP":
        return Seen(who=datagram(vip, port), status=503)
    seen = _http(vip, port, request, session, with_tls=protocol == "TERMINATED_HTTPS")
    # A connection that is closed without an answer is what 503 is to HTTP.
    return Seen(status=503) if protocol == "TCP" and seen.who is None else seen


def _http(vip: str, port: int, request: Request, session: str | None, *, with_tls: bool) -> Seen:
    connection = _connection(vip, port, with_tls=with_tls)
    try:
        connection.connect()
        source = connection.sock.getsockname()[0]
        connection.request("GET", request.target, headers=_headers(request, session))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        return Seen(
            who=text if answer.status == 200 else None,
            status=answer.status,
            location=answer.getheader("Location"),
            session=_session(answer),
            told=json.loads(answer.getheader(TOLD, "{}")),
            source=source,
        )
    except (OSError, http.client.HTTPException):
        return Seen()
    finally:
        connection.close()


def _connection(vip: str, port: int, *, with_tls: bool) -> http.client.HTTPConnection:
    if with_tls:
        return http.client.HTTPSConnection(vip, port, timeout=_PATIENCE, context=_TRUSTING)
    return http.client.HTTPConnection(vip, port, timeout=_PATIENCE)


def _headers(request: Request, session: str | None) -> dict[str, str]:
    headers = {"Host": request.host, **CLAIMED}
    if request.header is not None:
        headers[HEADER] = request.header
    cookies = {COOKIE: request.cookie, SESSION: session}
    given = [f"{name}={value}" for name, value in cookies.items() if value is not None]
    return {**headers, "Cookie": "; ".join(given)} if given else headers


def _session(answer: http.client.HTTPResponse) -> str | None:
    name, _, value = (answer.getheader("Set-Cookie") or "").partition(";")[0].partition("=")
    return value if name == SESSION else None


def certificate(vip: str, port: int, name: str | None) -> bytes | None:
    """The certificate that a client is shown who asks for `name`, or for none. None: there was no handshake."""
    try:
        with (
            socket.create_connection((vip, port), timeout=_PATIENCE) as plain,
            _TRUSTING.wrap_socket(plain, server_hostname=name) as stream,
        ):
            return stream.getpeercert(binary_form=True)
    except OSError:
        return None


def metrics(vip: str, port: int) -> tuple[int, str]:
    """Status and text of a scrape; status 0 without an answer."""
    connection = _connection(vip, port, with_tls=False)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def datagram(vip: str, port: int) -> str | None:
    """The answer to a datagram from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        client.connect((vip, port))
        try:
            client.send(b"who")
            return client.recv(100).decode()
        except OSError:
            return None


def connects(vip: str, port: int) -> bool:
    """Whether connections are taken."""
    try:
        socket.create_connection((vip, port), timeout=_PATIENCE).close()
    except OSError:
        return False
    return True
