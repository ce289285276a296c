"""A client that asks the VIP all the time, and remembers what it was answered and when."""

import http.client
import itertools
import socket
import time
from collections import Counter
from contextlib import suppress
from threading import Event, Lock, Thread

from msgspec import Struct


class Answer(Struct, frozen=True):
    """One request: monotonic seconds of its start and end; who answered, or None when it failed, and then why."""

    start: float
    end: float
    who: str | None
    fault: str | None = None


class Load:
    """A constant load of requests from several clients, each with its own connection.

    `fresh` opens a connection for each request; else connections are kept alive, and a request on one that the
    server closed while it was idle is sent again, as RFC 9110 (section 9.2.2) lets a client do.
    """

    def __init__(self, address: str, port: int, *, clients: int, pause: float, fresh: bool, timeout: float) -> None:
        self._address = address
        self._port = port
        self._pause = pause
        self._fresh = fresh
        self._timeout = timeout
        self._stop = Event()
        self._lock = Lock()
        self.answers: list[Answer] = []
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def failed(self) -> int:
        """Requests that got no answer."""
        with self._lock:
            return sum(answer.who is None for answer in self.answers)

    def faults(self) -> list[str]:
        """Of each request that got no answer: when it began, in seconds of this load, how long it took, and why."""
        with self._lock:
            return [
                f"{answer.start - self.answers[0].start:.2f} s, after {answer.end - answer.start:.3f} s: {answer.fault}"
                for answer in self.answers
                if answer.who is None
            ]

    def total(self) -> int:
        """Requests made."""
        with self._lock:
            return len(self.answers)

    def who(self) -> Counter[str]:
        """How often each backend answered."""
        with self._lock:
            return Counter(answer.who for answer in self.answers if answer.who is not None)

    def first_answer_after(self, moment: float, *, who: str | None = None, timeout: float = 10.0) -> float | None:
        """End of the first answered request that started after `moment` (and was answered by `who`)."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with self._lock:
                ends = [
                    answer.end
                    for answer in self.answers
                    if answer.start >= moment and answer.who is not None and who in (None, answer.who)
                ]
            if ends:
                return min(ends)
            time.sleep(0.002)
        return None

    def silence_after(self, moment: float, *, timeout: float = 15.0) -> float | None:
        """Seconds of the longest pause between two answers after a fault at `moment`; None when it did not end.

        The fault takes a while to take hold, so the first answer after it proves nothing: only answers a second
        later end the watch, or as late as the silence lasts.
        """
        if self.first_answer_after(moment + 1.0, timeout=timeout) is None:
            return None
        with self._lock:
            ends = sorted(answer.end for answer in self.answers if answer.who is not None)
        before = [end for end in ends if end <= moment][-1:]
        after = [end for end in ends if end > moment]
        return max(later - earlier for earlier, later in itertools.pairwise((*before, *after)))

    def last_answer_by(self, who: str) -> float | None:
        """Start of the last request that `who` answered."""
        with self._lock:
            return max((answer.start for answer in self.answers if answer.who == who), default=None)

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            start = time.monotonic()
            fault: str | None = None
            try:
                connection, who = self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                connection, who, fault = None, None, repr(error)
            with self._lock:
                self.answers.append(Answer(start, time.monotonic(), who, fault))
            time.sleep(self._pause)
        if connection is not None:
            connection.close()

    def _ask(self, kept: http.client.HTTPConnection | None) -> tuple[http.client.HTTPConnection | None, str]:
        """The connection to keep and who answered. Raises OSError and HTTPException."""
        if kept is not None:
            with suppress(http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                return self._exchange(kept)
            kept.close()
        return self._exchange(http.client.HTTPConnection(self._address, self._port, timeout=self._timeout))

    def _exchange(self, connection: http.client.HTTPConnection) -> tuple[http.client.HTTPConnection | None, str]:
        headers = {"Connection": "close"} if self._fresh else {}
        try:
            connection.request("GET", "/", headers=headers)
            if connection.sock is not None:
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            response = connection.getresponse()
            body = response.read().decode(errors="replace").strip()
            if response.status != http.client.OK:
                raise http.client.HTTPException(f"{response.status} {response.reason}: {body[:200]}")
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if self._fresh or response.will_close:
            connection.close()
            return None, body
        return connection, body
