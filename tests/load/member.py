"""A member for everything: HTTP/1.1 on port 80, in the clear and in TLS alike, and echoes on TCP and UDP port 9000.

Run as `python member.py NAME CERTIFICATE`. HTTP answers are `NAME PATH`; the path /slow... takes 0.3 s.
"""

import socket
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

HTTP_PORT = 80
ECHO_PORT = 9000
#: the first byte of a TLS record with a handshake (RFC 8446, section 5.1)
_HANDSHAKE = b"\x16"


class Answer(BaseHTTPRequestHandler):
    """Says who answers what. A client that speaks TLS is answered in TLS."""

    protocol_version = "HTTP/1.1"
    # Head and body are one segment.
    wbufsize = -1
    name = ""
    encryption: ssl.SSLContext

    def setup(self) -> None:
        if self.request.recv(1, socket.MSG_PEEK) == _HANDSHAKE:
            self.request = self.encryption.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            time.sleep(0.3)
        text = f"{self.name} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
        self.wfile.flush()

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in http.server
        pass


class Echo(BaseRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Quiet(ThreadingTCPServer):
    """Says nothing of clients that hang up, such as health checks."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Web(ThreadingHTTPServer, Quiet):
    """As above, of HTTP."""


def _datagrams() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", ECHO_PORT))
        while True:
            data, client = server.recvfrom(65536)
            server.sendto(data, client)


def main(name: str, certificate: str) -> None:
    """Serve until killed."""
    Answer.name = name
    Answer.encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Answer.encryption.load_cert_chain(certificate)
    Answer.encryption.set_alpn_protocols(["http/1.1"])
    Thread(target=_datagrams, daemon=True).start()
    Thread(target=Quiet(("", ECHO_PORT), Echo).serve_forever, daemon=True).start()
    Web(("", HTTP_PORT), Answer).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
