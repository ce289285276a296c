"""A web server that says its name: `python -m livia.ops.demo.backend NAME ADDRESS PORT`."""

import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from livia.ops.supervisor import die_with_parent


def serve(name: str, address: str, port: int) -> None:
    """Answer every GET with the name, until killed. Prints a line once connections are taken."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body go in two writes: Nagle's algorithm would hold the second back for 40 ms.
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = f"{name}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512

        def server_bind(self) -> None:
            # The parent would look its own name up, and a namespace has nobody to ask: ten seconds.
            socketserver.TCPServer.server_bind(self)

        def handle_error(self, request: object, client_address: object) -> None:
            """A health check hangs up when it has seen the status: nothing to tell of."""

    server = Server((address, port), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    die_with_parent()
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
