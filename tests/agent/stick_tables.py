"""Members with sessions, and what HAProxy's workers know of clients."""

import re
from collections.abc import Callable

from livia.agent.haproxy.runtime import Worker
from tests.agent.members import Request, Stream
from tests.waiting import wait_for

#: of the flags of a peers section: the worker has learned all there was (PEERS_RESYNC_FINISHED of HAProxy)
_FINISHED = 3


def settled(worker: Worker) -> None:
    """Wait until a worker that HAProxy was started with gives up to learn from an earlier one, after 5 s, and then
    from another amphora: before that it would not teach the next."""
    wait_for(lambda: _flags(worker) & _FINISHED == _FINISHED, 20)


def _flags(worker: Worker) -> int:
    found = re.search(r"flags=0x([0-9a-f]+)", worker.ask("show peers"))
    return int(found[1], 16) if found else 0


def known(worker: Worker, pool_id: str, entries: int) -> None:
    """Wait until a pool's table has so many entries: those of an old worker arrive after its end was told to it."""
    wait_for(lambda: worker.answers() and f"used:{entries}" in worker.ask(f"show table lb1_peers/{pool_id}"))


def session_member(name: str) -> Callable[[Stream, Request], None]:
    """Answers with the member's name, and sets the cookies of the request's header X-Set, which `|` parts."""

    def reply(stream: Stream, asked: Request) -> None:
        wanted = asked.headers.get("x-set")
        lines = "".join(f"Set-Cookie: {each}\r\n" for each in wanted.split("|")) if wanted else ""
        stream.socket.sendall(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(name)}\r\n\r\n{name}".encode())

    return reply
