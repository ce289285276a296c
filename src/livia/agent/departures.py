"""Servers that shall go, once the requests they still have are answered."""

import time

from msgspec import Struct

from livia.agent.haproxy.runtime import Worker
from livia.agent.haproxy.servers import Departure

#: seconds that a change waits for requests in flight before it leaves the rest to the background
_BRIEFLY = 0.05
#: seconds after which what a server still has is cut off: as long as an old worker may live
_AT_LAST = 12 * 3600.0


class _Leaving(Struct):
    origin: Departure | None
    deadline: float
    tries: int = 0


class Departures:
    """The leaving servers of one amphora."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._leaving: dict[str, _Leaving] = {}

    def __bool__(self) -> bool:
        return bool(self._leaving)

    def origins(self) -> dict[str, Departure | None]:
        """Who is leaving: `backend/server` to what it was made from, where that is known."""
        return {path: leaving.origin for path, leaving in self._leaving.items()}

    def clear(self) -> None:
        """A new worker serves, which never knew them."""
        self._leaving.clear()

    def cancel(self, paths: tuple[str, ...]) -> None:
        """These stay after all."""
        for path in paths:
            self._leaving.pop(path, None)

    def begin(self, departures: tuple[Departure, ...]) -> None:
        """Send these servers nothing new, and remove those that are soon done. Raises RuntimeApiError."""
        now = time.monotonic()
        for departure in departures:
            self._worker.expect(f"set server {departure.path} state maint")
            self._leaving[departure.path] = _Leaving(departure, now + _AT_LAST)
        pause = 0.001
        while not self.proceed() and time.monotonic() < now + _BRIEFLY:
            time.sleep(pause)
            pause *= 2

    def proceed(self) -> bool:
        """Remove the servers that are done; True when none is left. Raises RuntimeApiError."""
        for path, leaving in list(self._leaving.items()):
            answer = self._worker.ask(f"del server {path}")
            if "deleted" in answer or "No such server" in answer:
                del self._leaving[path]
                continue
            # What is attached may be a connection that fell idle after its last answer. Those are closed when the
            # address changes, and nothing is sent to this server any more.
            leaving.tries += 1
            self._worker.ask(f"set server {path} addr 127.0.0.1 port {1 + leaving.tries % 2}")
            if time.monotonic() > leaving.deadline:
                self._worker.ask(f"shutdown sessions server {path}")
        return not self._leaving

    def find(self, expected: frozenset[str]) -> None:
        """Let go of servers that HAProxy has beyond `expected`: an earlier agent began it."""
        for line in self._worker.ask("show servers state").splitlines():
            fields = line.split()
            if len(fields) >= 25 and fields[0] != "#" and (path := f"{fields[1]}/{fields[3]}") not in expected:
                self._leaving[path] = _Leaving(None, time.monotonic() + _AT_LAST)
