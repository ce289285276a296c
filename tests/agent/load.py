"""Requests without pause, while something else happens."""

import socket
from abc import ABC, abstractmethod
from threading import Event, Thread
from typing import Self

from livia.agent.plumbing import kernel
from tests.agent.exchange import exchange
from tests.waiting import wait_for


class Load(Thread, ABC):
    """From the first answer, which entering waits for, to the end of the block. `failures`: what a correct client
    would not get."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.finished = Event()
        self.failures: list[str] = []

    @abstractmethod
    def answered(self) -> bool:
        """Whether anything was answered yet."""

    def __enter__(self) -> Self:
        self.start()
        wait_for(lambda: self.answered() or self.failures)
        return self

    def __exit__(self, *_ignored: object) -> None:
        self.finished.set()
        self.join()


class KeptLoad(Load):
    """Over kept connections, from inside a namespace. Failures: an answer other than 200, or a connection that ends
    with a request unanswered."""

    def __init__(self, namespace: str, address: str, path: str = "/") -> None:
        super().__init__()
        self._namespace = namespace
        self._address = address
        self._path = path
        self.served: dict[str, int] = {}

    def answered(self) -> bool:
        return bool(self.served)

    def run(self) -> None:
        kernel.inside(self._namespace, self._work)

    def _work(self) -> None:
        stream: socket.socket | None = None
        while not self.finished.is_set():
            try:
                if stream is None:
                    stream = socket.create_connection((self._address, 80), timeout=5)
                status, body = exchange(stream, self._address, self._path, None, close=False)
                if status >= 1000:
                    status -= 1000
                    stream.close()
                    stream = None
                if status == 200:
                    self.served[body] = self.served.get(body, 0) + 1
                else:
                    self.failures.append(f"status {status}")
            except OSError as error:
                self.failures.append(repr(error))
                if stream is not None:
                    stream.close()
                stream = None
        if stream is not None:
            stream.close()
