"""Members that say who they are, and what they were told, over HTTP and over UDP: one port each, in this process."""

import asyncio
import json
import socket
import ssl
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address
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
#: where paths begin that name who is not well
ILL = "/ill"
#: the name among the headers told of what a PROXY protocol header said
INTRODUCED = "introduced"
#: likewise of the certificate that the load balancer showed
ENCRYPTED = "encrypted"
_END = b"\r\n\r\n"
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_NUMBERS = count()


def status(target: str, port: int) -> int:
    """What the member at a port answers: members that a path names are not well."""
    return 503 if target.startswith(f"{ILL}/") and str(port) in target else 200


def _headers(lines: list[str]) -> dict[str, str]:
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


async def _introduction(reader: asyncio.StreamReader, head: bytes) -> tuple[bytes, dict[str, str]]:
    """The head of the first request, and who its client is, as far as a PROXY protocol header before it says so: its
    version, and the address (The PROXY protocol, sections 2.1 and 2.2)."""
    if head.startswith(b"PROXY "):
        line, _, rest = head.partition(b"\r\n")
        _proxy, family, *addresses = line.decode().split()
        return rest, {} if family == "UNKNOWN" else {INTRODUCED: f"1 {ip_address(addresses[0])}"}
    if head != _SIGNATURE[:4]:
        return head, {}
    fixed = await reader.readexactly(len(_SIGNATURE) - 4 + 4)
    more = await reader.readexactly(int.from_bytes(fixed[-2:]))
    is_local = fixed[-4] == 0x20
    return await reader.readuntil(_END), {} if is_local else {INTRODUCED: f"2 {_address(fixed[-3], more)}"}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    port = writer.get_extra_info("sockname")[1]
    name = str(port)
    encrypted = _encrypted(writer)
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        head, introduced = await _introduction(reader, await reader.readuntil(_END))
        while True:
            first, *rest = head.decode("latin-1").split("\r\n")
            lines = [
                f"{TOLD}: {json.dumps({**_headers(rest), **introduced, **encrypted})}",
                f"Content-Length: {len(name)}",
            ]
            lines += [f"Set-Cookie: {cookie}={name}-{next(_NUMBERS)}; path=/" for cookie in APPLICATION_COOKIES]
            begin = f"HTTP/1.1 {status(first.split()[1], port)} Here"
            writer.write("\r\n".join([begin, *lines, "", name]).encode())
            await writer.drain()
            head = await reader.readuntil(_END)
    writer.close()


def _address(family: int, text: bytes) -> str:
    return str(ip_address(text[:16] if family >> 4 == 2 else text[:4]))


def _encrypted(writer: asyncio.StreamWriter) -> dict[str, str]:
    """Which certificate the load balancer showed, where it speaks TLS."""
    stream = writer.get_extra_info("ssl_object")
    return {} if stream is None else {ENCRYPTED: fingerprint(stream.getpeercert(True))}


def fingerprint(certificate: bytes | None) -> str:
    """What tells a certificate in its DER form from others; empty: there is none."""
    return "" if certificate is None else sha256(certificate).hexdigest()


async def _accept(server: socket.socket, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    open_ones = set[asyncio.Task[None]]()
    while True:
        connection, _address = await loop.sock_accept(server)
        task = asyncio.create_task(_welcome(connection, context))
        open_ones.add(task)
        task.add_done_callback(open_ones.discard)


async def _welcome(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Speak TLS with who begins with a handshake (RFC 8446, section 5.1), and plainly with others."""
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()
    loop.add_reader(connection, begun.set)
    try:
        await begun.wait()
    finally:
        loop.remove_reader(connection)
    try:
        encrypted = connection.recv(1, socket.MSG_PEEK) == b"\x16"
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        how = context if encrypted else None
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=how)
    except OSError:
        connection.close()
        return
    await _answer(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(str(self._transport.get_extra_info("sockname")[1]).encode(), addr)


def serve(loop: Loop, context: ssl.SSLContext) -> None:
    """Start all of them; they end with the loop. `context`: how they speak TLS."""
    tasks = list[asyncio.Task[None]]()

    async def start() -> None:
        for port in PORTS:
            server = socket.create_server(("0.0.0.0", port), backlog=256)
            server.setblocking(False)
            tasks.append(asyncio.create_task(_accept(server, context)))
            await asyncio.get_running_loop().create_datagram_endpoint(_Datagrams, local_addr=("0.0.0.0", port))

    loop.run(start())
