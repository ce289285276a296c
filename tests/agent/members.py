"""Members that tests can look into: servers in threads of the test, listening inside a namespace."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, Self

from msgspec import Struct

from livia.agent.plumbing import kernel


class Stream:
    """A connection with what has been read ahead of it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.ahead = b""

    def read(self, most: int = 1 << 20) -> bytes:
        """Some bytes; none at the end."""
        if self.ahead:
            data, self.ahead = self.ahead[:most], self.ahead[most:]
            return data
        return self.socket.recv(most)

    def exactly(self, count: int) -> bytes:
        """`count` bytes. Raises EOFError when there are fewer."""
        data = b""
        while len(data) < count:
            part = self.read(count - len(data))
            if not part:
                raise EOFError(f"{len(data)} of {count} bytes")
            data += part
        return data

    def until(self, mark: bytes) -> bytes:
        """All up to `mark`, which is consumed but not returned. Raises EOFError when it never comes."""
        data = b""
        while mark not in data:
            part = self.read()
            if not part:
                raise EOFError(f"no {mark!r} after {data[:200]!r}")
            data += part
        before, _, after = data.partition(mark)
        self.ahead = after + self.ahead
        return before

    def rest(self) -> bytes:
        """All up to the end; a reset is an end, too."""
        data = b""
        with suppress(ConnectionError):
            while part := self.read():
                data += part
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.socket.close()


class Request(Struct, frozen=True):
    """The head of a request as it came. Names of headers are in lower case; repeated ones are joined."""

    method: str
    target: str
    headers: Mapping[str, str]


class Response(Struct, frozen=True):
    """An answer; `status` 0 stands for none."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


def head(stream: Stream) -> tuple[list[str], dict[str, str]]:
    """Words of the first line, and headers. Raises EOFError at the end of the connection."""
    first, *lines = stream.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return first.split(" ", 2), headers


def body(stream: Stream, headers: Mapping[str, str]) -> Iterator[bytes]:
    """The parts of a message's body (RFC 9112, section 6.3), without those that only the end of a connection ends."""
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(stream.until(b"\r\n").split(b";")[0], 16):
            yield stream.exactly(size)
            stream.exactly(2)
        while stream.until(b"\r\n"):
            pass
        return
    left = int(headers.get("content-length", 0))
    while left:
        part = stream.read(min(left, 1 << 20))
        if not part:
            raise EOFError(f"{left} bytes of the body are missing")
        left -= len(part)
        yield part


def answer(text: str = "", status: int = 200, **headers: str) -> bytes:
    """A response with a length."""
    given = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Answer\r\n{given}Content-Length: {len(text)}\r\n\r\n{text}".encode()


def response(stream: Stream, *, to: str = "GET") -> Response:
    """The next response. Raises EOFError or ConnectionError when there is none."""
    (_version, status, *_reason), headers = head(stream)
    if to == "HEAD" or status.startswith("1") or status in ("204", "304"):
        return Response(int(status), headers)
    if "content-length" in headers or "transfer-encoding" in headers:
        return Response(int(status), headers, b"".join(body(stream, headers)))
    return Response(int(status), headers, stream.rest())


class Server:
    """Listens inside a namespace; every connection is given to `handle` in a thread of its own."""

    def __init__(self, namespace: str, port: int, handle: Callable[[Stream], object], host: str = "0.0.0.0") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._handle = handle
        self._listener = kernel.inside(
            namespace, lambda: socket.create_server((host, port), family=family, backlog=512)
        )
        self._open: set[socket.socket] = set()
        self.connections = 0
        self._threads: list[Thread] = []
        self._acceptor = Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _peer = self._listener.accept()
                self.connections += 1
                self._open.add(connection)
                thread = Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError):
            self._handle(Stream(connection))
        self._open.discard(connection)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.close()


class HttpServer(Server):
    """Reads requests, remembers them, and answers each with what `reply` writes."""

    def __init__(
        self, namespace: str, port: int, reply: Callable[[Stream, Request], None] | None = None, **options: Any
    ) -> None:
        self._reply = reply or (lambda stream, _request: stream.socket.sendall(answer(str(port))))
        self.requests: list[Request] = []
        super().__init__(namespace, port, self._talk, **options)

    def _talk(self, stream: Stream) -> None:
        while True:
            (method, target, _version), headers = head(stream)
            request = Request(method, target, headers)
            self.requests.append(request)
            self._reply(stream, request)


def reply_with_body_length(stream: Stream, request: Request) -> None:
    """Read the body, answer with its length."""
    stream.socket.sendall(answer(str(sum(len(part) for part in body(stream, request.headers)))))


def connect(namespace: str, address: str, port: int, timeout: float = 10.0, source: str = "") -> Stream:
    """A connection that starts inside a namespace, at address `source` if there is one. Raises OSError."""
    start = (source, 0) if source else None
    return Stream(kernel.inside(namespace, lambda: socket.create_connection((address, port), timeout, start)))


def ask(namespace: str, address: str, port: int, *lines: str, method: str = "GET", target: str = "/") -> Response:
    """One request on a connection of its own; status 0 when it is not answered."""
    try:
        with connect(namespace, address, port) as stream:
            stream.socket.sendall(request(*lines, "Connection: close", method=method, target=target))
            return response(stream, to=method)
    except (OSError, EOFError):
        return Response(0)


def request(*lines: str, method: str = "GET", target: str = "/") -> bytes:
    """The head of a request."""
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: vip.example", *lines, "", "")).encode()
