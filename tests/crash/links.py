"""Links between services that can be cut and slowed down: relays that the kernel sends their connections through.

Rules in the campaign's network namespace redirect what the services send to a port of the agent or of the health
manager; what the relays send on carries a mark that is not redirected.
"""

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from threading import Thread
from typing import Any

_MARK = 36
_RELAYED = 20_000


class Mode(StrEnum):
    """What a link does to what is sent over it."""

    OPEN = "open"
    #: connections are reset, datagrams vanish
    REFUSING = "refusing"
    #: connections are made and nothing is answered, datagrams vanish
    SILENT = "silent"


class Link:
    """One link. `delay`: seconds that everything takes longer, in each direction."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.mode = Mode.OPEN
        self.delay = 0.0
        self._opened: set[asyncio.StreamWriter] = set()

    async def serve(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter, far: Callable[[], Any]) -> None:
        """One connection, whose other end `far` opens."""
        self._opened.add(writer)
        try:
            while self.mode is Mode.SILENT:
                await asyncio.sleep(0.1)
            if self.mode is Mode.OPEN:
                reader, onward = await far()
                self._opened.add(onward)
                try:
                    await asyncio.wait(
                        [
                            asyncio.create_task(self._pump(near, onward)),
                            asyncio.create_task(self._pump(reader, writer)),
                        ],
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                finally:
                    self._opened.discard(onward)
                    onward.transport.abort()
        except OSError:
            pass
        finally:
            self._opened.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay)
                while self.mode is Mode.SILENT:
                    await asyncio.sleep(0.1)
                writer.write(data)
                await writer.drain()

    def cut(self, mode: Mode) -> None:
        """From now on. Connections that are open end with REFUSING; with SILENT they hear nothing more."""
        self.mode = mode
        if mode is Mode.REFUSING:
            for writer in list(self._opened):
                writer.transport.abort()

    def mend(self) -> None:
        """As if nothing had been."""
        self.mode, self.delay = Mode.OPEN, 0.0


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, link: Link, port: int) -> None:
        self._link = link
        self._onward = _marked(socket.SOCK_DGRAM)
        self._onward.connect(("127.0.0.1", port))

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._link.mode is Mode.OPEN:
            asyncio.get_running_loop().call_later(self._link.delay, self._send, data)

    def _send(self, data: bytes) -> None:
        with suppress(OSError):
            self._onward.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._onward.close()


def _marked(kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, _MARK)
    return made


async def _through(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    made = _marked(socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return await asyncio.open_connection(sock=made)


class Loop:
    """An event loop in a thread of its own, for relays and members."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[Any]) -> Any:
        """The result of `work`, done in the loop."""

        async def act() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(30)

    def call(self, act: Callable[[], None]) -> None:
        """Call in the loop's thread, and wait."""

        async def once() -> None:
            act()

        self.run(once())

    def close(self) -> None:
        """End everything in it; how each connection ends is of no interest then."""
        self._loop.set_exception_handler(lambda _loop, _context: None)

        async def cancel() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def relay_connections(loop: Loop, link: Link, port: int) -> None:
    """Have TCP connections to `port` of this machine go over `link`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await link.serve(reader, writer, lambda: _through(port))

    loop.run(asyncio.start_server(serve, "127.0.0.1", port + _RELAYED))
    _redirect("tcp", port)


def relay_datagrams(loop: Loop, link: Link, port: int) -> None:
    """Have datagrams to `port` of this machine go over `link`."""

    async def serve() -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Datagrams(link, port), local_addr=("127.0.0.1", port + _RELAYED)
        )

    loop.run(serve())
    _redirect("udp", port)


def relay_to_socket(loop: Loop, link: Link, port: int, path: str) -> None:
    """Have connections to `port` of this machine reach the UNIX socket at `path` over `link`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await link.serve(reader, writer, lambda: asyncio.open_unix_connection(path))

    loop.run(asyncio.start_server(serve, "127.0.0.1", port))


def _redirect(protocol: str, port: int) -> None:
    rules = f"""
table ip crash {{
    chain relayed {{
        type nat hook output priority -100
        ip daddr 127.0.0.1 meta mark != {_MARK} {protocol} dport {port} redirect to :{port + _RELAYED}
    }}
}}
"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
