"""HTTP/1.1 over mutual TLS for a WSGI application: one thread a connection.

The TLS handshake is made by the connection's own thread, so that a client that is slow, or talks nonsense, keeps
nobody waiting. Connections are kept open: the controller pools them.
"""

import io
import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog

from livia.pki.reloading import ReloadingContext
from livia.pki.sockets import ClosingSocket

log = structlog.get_logger()

#: seconds that a handshake may take
_HANDSHAKE = 5.0
#: seconds that a connection may be silent
_IDLE = 300.0
#: connections at the same time: a controller keeps some 16
_MOST_CONNECTIONS = 256

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def tls_context(certificate: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or later; only clients whose certificate is from `client_ca`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = ClosingSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    context.load_verify_locations(client_ca)
    return context


class HttpsServer(ThreadingMixIn, TCPServer):
    """Serves `application` until `shutdown`. Connections end with the process."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], context: ReloadingContext, application: Application, *, largest_body: int
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.context = context
        self.application = application
        self.largest_body = largest_body
        self._slots = BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(address, _Connection)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse a connection when there are too many."""
        return self._slots.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The life of one connection, in its own thread."""
        connection: socket.socket = request
        try:
            connection.settimeout(_HANDSHAKE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.context.current().wrap_socket(connection, server_side=True) as secure:
                secure.settimeout(_IDLE)
                _Connection(secure, client_address, self)
        except OSError as error:
            # Scanners, strangers, expired certificates: worth a line to whoever looks, no more.
            log.debug("connection ended", client=str(client_address[0]), reason=str(error))
        finally:
            connection.close()
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """What the accepting loop met; it goes on."""
        log.warning("connection not accepted", client=str(client_address), reason=repr(sys.exc_info()[1]))


class _Connection(BaseHTTPRequestHandler):
    """Reads requests one after the other and passes each to the application."""

    protocol_version = "HTTP/1.1"
    server_version = "livia-agent"
    sys_version = ""
    wbufsize = -1
    server: HttpsServer

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        log.debug("request", client=self.client_address[0], text=format % args)

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            answer["status"], answer["headers"] = status, headers

        content = b"".join(self.server.application(self._environment(body), start_response))
        code, _space, reason = answer["status"].partition(" ")
        self.send_response(int(code), reason)
        for name, value in answer["headers"]:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if int(code) != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes | None:
        """The whole body; None when it was refused, and the connection ends."""
        text = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not text.isdecimal():
            self._refuse(411, "A length is required")
            return None
        if int(text) > self.server.largest_body:
            self._refuse(413, "The body is too large")
            return None
        return self.rfile.read(int(text))

    def _refuse(self, code: int, reason: str) -> None:
        self.close_connection = True
        self.send_error(code, reason)

    def _environment(self, body: bytes) -> dict[str, Any]:
        path, _mark, query = self.path.partition("?")
        headers = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in self.headers.items()}
        return {
            **headers,
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": str(self.client_address[0]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
