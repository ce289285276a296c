"""Answers the scrapes of all amphorae of an agent, in one thread.

A scrape comes from the amphora's HAProxy, which has it from a tenant, over an abstract UNIX socket in the amphora's
namespace. Without an agent nobody listens there, and HAProxy answers 503.
"""

import asyncio
import socket
import time
from collections.abc import Coroutine
from threading import Thread
from typing import Any

import structlog

from livia.agent.haproxy.prometheus import DOOR
from livia.agent.haproxy.wiring import is_scraped
from livia.agent.metrics import Metrics
from livia.agent.plumbing import kernel
from livia.agent.prometheus.scrape import Source, UnreadableError, answer
from livia.core.spec import Spec

log = structlog.get_logger()

#: seconds that a scrape may take
_PATIENCE = 60.0
#: Seconds of rest for each second of work: a thousand members are 0.2 s of work, and heartbeats need their time.
_REST = 3.0
#: seconds of rest that are worth taking
_LEAST_REST = 0.01
_BACKLOG = 64
#: bytes of an abstract socket's name after its first zero. HAProxy fills up with zeros (manual, section 4.2, bind).
_NAME = DOOR.encode().ljust(107, b"\0")


class PrometheusProxy:
    """One thread for every amphora with a PROMETHEUS listener."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop: asyncio.AbstractEventLoop
        self._thread: Thread
        self._doors: dict[Source, asyncio.Server] = {}
        self._scrapes: dict[asyncio.Task[None], Source] = {}
        self._turn = asyncio.Lock()
        self._worked = 0.0
        self._owed = 0.0

    def open(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="scrapes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and end the thread."""
        for source in list(self._doors):
            self.leave(source)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def follow(self, source: Source, spec: Spec) -> None:
        """Answer the scrapes of an amphora while its spec has a listener for them."""
        if not is_scraped(spec):
            self.leave(source)
        elif source not in self._doors:
            try:
                self._await(self._begin(source, kernel.inside(source.namespace, _listen)))
            except OSError as error:
                self._metrics.faults.inc()
                log.error("metrics are not served", namespace=source.namespace, reason=str(error))

    def leave(self, source: Source) -> None:
        """Answer them no more, and hold no socket in the namespace."""
        if source in self._doors:
            self._await(self._end(source))

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # -- the thread ----------------------------------------------------------------------------------------------

    async def _begin(self, source: Source, opened: socket.socket) -> None:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is None or source not in self._doors:
                writer.transport.abort()
                return
            self._scrapes[task] = source
            try:
                await self._scrape(source, reader, writer)
            finally:
                del self._scrapes[task]

        self._doors[source] = await asyncio.start_unix_server(take, sock=opened)

    async def _end(self, source: Source) -> None:
        self._doors.pop(source).close()
        under_way = [task for task, owner in self._scrapes.items() if owner is source]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _scrape(self, source: Source, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outcome = "broken"
        try:
            async with asyncio.timeout(_PATIENCE):
                await answer(source, reader, writer, self._rest)
            outcome = "answered"
        except UnreadableError as error:
            outcome = "unreadable"
            log.warning("HAProxy's metrics cannot be read", namespace=source.namespace, reason=str(error))
        except (OSError, EOFError, TimeoutError) as error:
            # The tenant has gone, or HAProxy has.
            log.debug("a scrape was broken off", namespace=source.namespace, reason=str(error))
        except Exception:
            # The outermost frame of a scrape: the others go on.
            self._metrics.faults.inc()
            log.exception("a scrape failed")
        finally:
            self._metrics.scrapes.labels(outcome=outcome).inc()
            if outcome == "broken":
                # Without its end nobody takes it for whole.
                writer.transport.abort()
            else:
                writer.close()

    async def _rest(self) -> None:
        """Leave the agent's other threads their time; scrapes take turns, one piece each."""
        async with self._turn:
            worked = time.thread_time()
            self._owed += (worked - self._worked) * _REST
            self._worked = worked
            if self._owed >= _LEAST_REST:
                await asyncio.sleep(self._owed)
                self._owed = 0.0


def _listen() -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.bind(b"\0" + _NAME)
        opened.listen(_BACKLOG)
    except OSError:
        opened.close()
        raise
    return opened
