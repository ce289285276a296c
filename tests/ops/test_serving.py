"""Servers that follow each other on one socket: of clients that ask all the time, nobody notices."""

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event, Thread

from livia.ops.serving import listen
from tests.waiting import wait_for


class Client:
    """Asks without a pause, over a connection that it keeps for as long as it may. `failed`: what it saw."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = Event()
        self._thread = Thread(target=self._run)
        self.answers = 0
        self.connections = 0
        self.failed: list[str] = []

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more; returns when the last request was answered."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                self._ask_on(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            finally:
                connection.close()

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        self.connections += 1
        while not self._stop.is_set():
            connection.request("POST", "/", b"{}")
            answer = connection.getresponse()
            answer.read()
            self.answers += 1
            if answer.will_close:
                return


@contextmanager
def server(listening: socket.socket) -> Iterator[None]:
    descriptor = listening.fileno()
    command = [sys.executable, "-m", "tests.ops.answering", str(descriptor)]
    with subprocess.Popen(command, pass_fds=[descriptor]) as process:
        try:
            yield
        finally:
            process.terminate()


def test_nobody_is_refused_or_left_unanswered_by_a_restart() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(listen("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with Client(port) as one, Client(port) as two, Client(port) as three:
            clients = (one, two, three)
            for _ in range(4):
                wanted = [client.answers + 20 for client in clients]
                with server(listening):
                    wait_for(partial(_have, clients, wanted))
            # By whom they are answered when they are to end.
            stack.enter_context(server(listening))
    assert [client.failed for client in clients] == [[], [], []]
    assert all(client.connections < client.answers / 4 for client in clients)


def _have(clients: Sequence[Client], wanted: Sequence[int]) -> bool:
    return all(client.answers >= least for client, least in zip(clients, wanted, strict=True))


def test_both_families_are_listened_to_where_all_addresses_are() -> None:
    with listen("::", 0) as listening:
        port = listening.getsockname()[1]
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                client.connect((address, port))
