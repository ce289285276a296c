"""UDP members and clients inside namespaces."""

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PoolProtocol
from livia.core.spec import ListenerSpec, MemberSpec, PoolSpec
from tests.agent.lab import VIP, Lab, listener, pool
from tests.waiting import wait_for

PORT = 53

#: answers with its name and what came, on both IP versions, each after so many seconds
_MEMBER = """
import socket, sys
from threading import Timer
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(("::", int(sys.argv[2])))
    while True:
        data, client = server.recvfrom(65536)
        answer = sys.argv[1].encode() + b" " + data
        if delay := float(sys.argv[3]):
            Timer(delay, server.sendto, (answer, client)).start()
        else:
            server.sendto(answer, client)
"""


def serve(lab: Lab, namespace: str, name: str, port: int = PORT, delay: float = 0.0) -> subprocess.Popen[bytes]:
    """A UDP server that answers `name` and what it was sent, `delay` seconds later. The lab ends it."""
    given = [name, str(port), str(delay)]
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-S", "-c", _MEMBER, *given]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    lab.adopt(process)
    wait_for(lambda: ask(namespace, "127.0.0.1", port=port) == name)
    return process


class Client:
    """One UDP socket in a namespace, as one client of a service: one flow for as long as it is open."""

    def __init__(
        self,
        namespace: str,
        address: str = VIP,
        port: int = PORT,
        source: str | None = None,
        patience: float = 0.3,
    ) -> None:
        self._patience = patience
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._source = source
        self._socket = kernel.inside(namespace, self._open)
        self._socket.connect((address, port))

    def _open(self) -> socket.socket:
        opened = socket.socket(self._family, socket.SOCK_DGRAM)
        opened.settimeout(self._patience)
        if self._source is not None:
            opened.bind((self._source, 0))
        return opened

    def ask(self, text: bytes = b"x") -> str | None:
        """The name of the member that answers; '' when there is nobody, None when nothing comes back."""
        try:
            self._socket.send(text)
            name, _, rest = self._socket.recv(65536).partition(b" ")
        except ConnectionRefusedError:
            return ""
        except TimeoutError:
            return None
        assert rest == text
        return name.decode()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.close()


def ask(
    namespace: str, address: str = VIP, port: int = PORT, source: str | None = None, text: bytes = b"x"
) -> str | None:
    """What a client with one question is answered by."""
    with Client(namespace, address, port, source) as client:
        return client.ask(text)


def count(answers: Iterable[str | None]) -> dict[str | None, int]:
    return dict(Counter(answers))


@contextmanager
def clients(
    namespace: str, number: int, address: str = VIP, port: int = PORT, patience: float = 0.3
) -> Iterator[list[Client]]:
    """So many flows at once."""
    opened = [Client(namespace, address, port, patience=patience) for _ in range(number)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


@contextmanager
def asking(namespace: str, number: int, pause: float) -> Iterator[list[str | None]]:
    """So many clients that ask `pause` seconds after each answer; what they are answered."""
    answers: list[str | None] = []
    over = Event()

    def work(client: Client) -> None:
        while not over.wait(pause):
            answers.append(client.ask())

    with clients(namespace, number, patience=3.0) as opened:
        threads = [Thread(target=work, args=(client,)) for client in opened]
        for thread in threads:
            thread.start()
        try:
            yield answers
        finally:
            over.set()
            for thread in threads:
                thread.join()


def udp_listener(**changes: Any) -> ListenerSpec:
    values: dict[str, Any] = {
        "id": "udp-1",
        "protocol": ListenerProtocol.UDP,
        "port": PORT,
        "default_pool_id": "udp-pool",
    }
    return listener(**(values | changes))


def udp_pool(*members: MemberSpec, **changes: Any) -> PoolSpec:
    values: dict[str, Any] = {"id": "udp-pool", "protocol": PoolProtocol.UDP}
    return pool(*members, **(values | changes))
