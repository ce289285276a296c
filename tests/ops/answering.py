"""`python -m tests.ops.answering DESCRIPTOR`: a server on a socket that somebody else holds, until SIGTERM."""

import socket
import sys
import time
from collections.abc import Iterable
from typing import Any

from livia.api.arrival import Wsgi
from livia.ops.serving import ApiServer, Serving


def _answer(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    time.sleep(0.005)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def _load() -> Wsgi:
    return _answer


if __name__ == "__main__":
    ApiServer(socket.socket(fileno=int(sys.argv[1])), Serving(threads=8, load=_load)).run()
