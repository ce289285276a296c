"""Members that say who they are, and what they were told, over HTTP and over UDP: one port each, in this process."""

import asyncio
import json
from contextlib import suppress
from itertools import count
from typing import Any

from tests.crash.links import Loop

PORTS = range(8001, 8007)
#: nobody listens there
DEAD_PORT = 8099


#: the header of answers that has those of the request in it, as JSON
TOLD = "X-Crash-Told"
#: cookies that each answer sets, to a value that no other has
APPLICATION_COOKIES = ("app", "app2")
_NUMBERS = count()


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    name = str(writer.get_extra_info("sockname")[1])
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = [f"{TOLD}: {json.dumps(_headers(head))}", f"Content-Length: {len(name)}"]
            lines += [f"Set-Cookie: {cookie}={name}-{next(_NUMBERS)}; path=/" for cookie in APPLICATION_COOKIES]
            writer.write("\r\n".join(["HTTP/1.1 200 OK", *lines, "", name]).encode())
            await writer.drain()
    writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(str(self._transport.get_extra_info("sockname")[1]).encode(), addr)


def serve(loop: Loop) -> None:
    """Start all of them; they end with the loop."""

    async def start() -> None:
        for port in PORTS:
            await asyncio.start_server(_answer, "0.0.0.0", port)
            await asyncio.get_running_loop().create_datagram_endpoint(_Datagrams, local_addr=("0.0.0.0", port))

    loop.run(start())
