"""Clients that never stop, and count what a correct client would not get.

A client waits for each answer before it asks again, so that what is unanswered has a name. A connection that the
server announces to close (`Connection: close`, GOAWAY) is renewed and that is no failure; one that ends with a request
unanswered is.
"""

import http.client
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from msgspec import Struct

from tests.load.http2 import Http2Connection, Http2Error
from tests.load.member import ECHO_PORT

#: seconds for an answer
PATIENCE = 5.0


class Failure(Struct, frozen=True):
    """A request without its answer: which kind of traffic, `time.monotonic()` of its begin and end, what was seen."""

    traffic: str
    begin: float
    at: float
    reason: str


class Client(Thread, ABC):
    """One client. `pause`: seconds between requests; `lasting`: requests until it lets go of its connection by
    itself, or None for never."""

    traffic = ""

    def __init__(self, address: str, *, pause: float, lasting: int | None = None) -> None:
        super().__init__(daemon=True, name=f"{self.traffic} client")
        self.address = address
        self._pause = pause
        self._lasting = lasting
        self._finished = Event()
        self._connected = False
        self.requests = 0
        self.connections = 0
        self.failures: list[Failure] = []

    @abstractmethod
    def connect(self) -> None:
        """Connect. Raises OSError."""

    @abstractmethod
    def ask(self, number: int) -> bool:
        """One exchange; False when the server announced the end of the connection. Raises OSError, HTTPException
        or Http2Error."""

    @abstractmethod
    def disconnect(self) -> None:
        """Let go of the connection, if there is one."""

    def run(self) -> None:
        while not self._finished.wait(self._pause):
            self._go_on()
        self._let_go()

    def finish(self) -> None:
        """Ask no more."""
        self._finished.set()

    def _go_on(self) -> None:
        begun = time.monotonic()
        try:
            if not self._connected:
                self.connect()
                self._connected = True
                self.connections += 1
                self._left = self._lasting
            self.requests += 1
            goes_on = self.ask(self.requests)
        except (OSError, http.client.HTTPException, Http2Error) as error:
            now = time.monotonic()
            self.failures.append(Failure(self.traffic, begun, now, f"{error!r} after {now - begun:.3f} s"))
            self._let_go()
            return
        if self._left is not None:
            self._left -= 1
        if not goes_on or self._left == 0:
            self._let_go()

    def _let_go(self) -> None:
        self._connected = False
        with suppress(OSError):
            self.disconnect()


class KeptHttp(Client):
    """HTTP/1.1, its connection kept for as long as the server does not announce its end."""

    traffic = "HTTP/1.1"

    def __init__(self, address: str, *, pause: float, path: str = "/") -> None:
        super().__init__(address, pause=pause)
        self._path = path
        self._connection: http.client.HTTPConnection | None = None

    def connect(self) -> None:
        self._connection = http.client.HTTPConnection(self.address, 80, timeout=PATIENCE)
        self._connection.connect()

    def ask(self, number: int) -> bool:
        assert self._connection is not None
        path = f"{self._path}{number}"
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != http.client.OK or not text.endswith(f" {path}"):
            raise http.client.HTTPException(f"{path} was answered {answer.status} {text[:80]!r}")
        return not answer.will_close

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Http2(Client):
    """HTTP/2 over TLS, several streams at a time. A stream that a GOAWAY says was not processed is asked again."""

    traffic = "HTTP/2"
    _STREAMS = 3

    def __init__(self, address: str, context: ssl.SSLContext, name: str, *, pause: float) -> None:
        super().__init__(address, pause=pause)
        self._context = context
        self._name = name
        self._connection: Http2Connection | None = None

    def connect(self) -> None:
        self._connection = Http2Connection(self.address, 443, self._context, self._name, PATIENCE)

    def ask(self, number: int) -> bool:
        paths = [f"/{number}.{stream}" for stream in range(self._STREAMS)]
        self.requests += len(paths) - 1
        while True:
            assert self._connection is not None
            answers = self._connection.get(paths)
            for path, (status, text) in answers.items():
                if status != http.client.OK or not text.endswith(f" {path}"):
                    raise Http2Error(f"{path} was answered {status} {text[:80]!r}")
            paths = [path for path in paths if path not in answers]
            if not paths:
                return not self._connection.ending
            self._connection.close()
            self.connect()
            self.connections += 1

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Stream(Client):
    """Bytes over TCP that come back."""

    traffic = "TCP"

    def connect(self) -> None:
        self._socket = socket.create_connection((self.address, ECHO_PORT), timeout=PATIENCE)

    def ask(self, number: int) -> bool:
        text = f"{number} {self.ident}\n".encode()
        self._socket.sendall(text)
        said = b""
        while not said.endswith(b"\n"):
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionError("the connection was closed")
            said += chunk
        if said != text:
            raise ConnectionError(f"{text!r} came back as {said[:80]!r}")
        return True

    def disconnect(self) -> None:
        self._socket.close()


class Datagrams(Client):
    """Numbered datagrams from one socket."""

    traffic = "UDP"

    def connect(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)
        self._socket.connect((self.address, ECHO_PORT))

    def ask(self, number: int) -> bool:
        text = str(number).encode()
        self._socket.send(text)
        # An answer that comes too late was counted as missing, and is not the one to this.
        while self._socket.recv(65536) != text:
            pass
        return True

    def disconnect(self) -> None:
        self._socket.close()


class Traffic:
    """All kinds at the same time, as a context."""

    def __init__(self, address: str, context: ssl.SSLContext, name: str) -> None:
        self.clients: Sequence[Client] = (
            KeptHttp(address, pause=0.01),
            KeptHttp(address, pause=0.01),
            # Idle for most of the time, and with an answer under way for most of it.
            KeptHttp(address, pause=0.7),
            KeptHttp(address, pause=0.0, path="/slow/"),
            Http2(address, context, name, pause=0.02),
            Http2(address, context, name, pause=0.5),
            Stream(address, pause=0.02),
            Stream(address, pause=0.5),
            Stream(address, pause=0.01, lasting=100),
            Datagrams(address, pause=0.01),
            Datagrams(address, pause=0.5),
            Datagrams(address, pause=0.01, lasting=20),
        )

    def __enter__(self) -> "Traffic":
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        for client in self.clients:
            client.finish()
        for client in self.clients:
            client.join()

    def requests(self) -> Counter[str]:
        """How many were made, by kind of traffic."""
        return self._sums("requests")

    def connections(self) -> Counter[str]:
        """How many were opened, by kind of traffic."""
        return self._sums("connections")

    def failures(self) -> list[Failure]:
        """All of them, in their order."""
        return sorted((each for client in self.clients for each in client.failures), key=lambda each: each.at)

    def _sums(self, name: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for client in self.clients:
            found[client.traffic] += getattr(client, name)
        return found
