"""One scrape: HAProxy's text in, the tenant's out, piece by piece as fast as the tenant reads."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from struct import Struct as Layout

from livia.agent.haproxy import runtime
from livia.agent.haproxy.prometheus import SOCKET
from livia.agent.prometheus.translation import Exposed, Translation
from livia.agent.prometheus.usage import Usage

#: Only the parts with names in contract 95, section 4.3: HAProxy would also tell of its sockets and its tables.
_QUESTION = (
    b"GET /metrics?scope=global&scope=frontend&scope=backend&scope=server HTTP/1.1\r\n"
    b"Host: exporter\r\nConnection: close\r\n\r\n"
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
_SORRY = b"HAProxy's metrics cannot be read.\n"
_BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
)
#: struct ucred: process, user, group (unix(7), SO_PEERCRED)
_CREDENTIALS = Layout("3i")


class UnreadableError(Exception):
    """HAProxy's exporter gave no answer that could be passed on."""


class Source:
    """Where one amphora's metrics come from. `exposed` tells what is the tenant's now; None before anything is."""

    def __init__(self, namespace: str, directory: Path, exposed: Callable[[], Exposed | None]) -> None:
        self.namespace = namespace
        self.directory = directory
        self.exposed = exposed
        self.usage = Usage()


async def answer(
    source: Source, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: Callable[[], Awaitable[None]]
) -> None:
    """Answer one request of HAProxy's, which has checked method and path; `rest` is called after each piece.

    Raises UnreadableError after a 502; OSError and EOFError when the answer has begun and cannot be ended.
    """
    method = (await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0]
    async with aclosing(_ask_exporter(source.directory)) as pieces:
        try:
            shown = source.exposed()
            if shown is None:
                raise UnreadableError("The amphora has no load balancer yet.")
            usage = source.usage.text(_process_of(writer))
            first = await anext(pieces)
        except (OSError, EOFError, UnreadableError) as error:
            writer.write(_BAD_GATEWAY % (len(_SORRY), _SORRY if method != b"HEAD" else b""))
            await writer.drain()
            raise UnreadableError(str(error)) from error
        writer.write(_HEAD)
        if method == b"HEAD":
            return
        translation = Translation(shown)
        _write(writer, usage + translation.feed(first))
        async for piece in pieces:
            _write(writer, translation.feed(piece))
            await writer.drain()
            await rest()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _ask_exporter(directory: Path) -> AsyncGenerator[bytes, None]:
    """Pieces of the exporter's text. Raises OSError, EOFError or UnreadableError."""
    stream = runtime.connect(directory, SOCKET, 0)
    reader, writer = await asyncio.open_unix_connection(sock=stream)
    try:
        writer.write(_QUESTION)
        status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        if status != b"200":
            raise UnreadableError(f"HAProxy's exporter answers {status.decode(errors='replace')}.")
        # Chunks (RFC 9112, section 7.1): only with them an answer that was cut off can be told from a whole one.
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    finally:
        writer.transport.abort()


def _write(writer: asyncio.StreamWriter, text: bytes) -> None:
    # An empty chunk would be the end.
    if text:
        writer.write(b"%x\r\n%s\r\n" % (len(text), text))


def _process_of(writer: asyncio.StreamWriter) -> int:
    """The process that connected: HAProxy's worker."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process: int = _CREDENTIALS.unpack(peer)[0]
    return process
