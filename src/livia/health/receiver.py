"""Receives heartbeats: one thread, and no SQL (design, section 9)."""

import array
import fcntl
import select
import socket
import termios
import time
from collections import Counter
from contextlib import suppress
from threading import Event

import structlog
from msgspec import Struct

from livia.core.clock import Clock
from livia.core.report import Heartbeat
from livia.health.drain import AT_ONCE, Drain
from livia.health.fleet import Fleet
from livia.health.metrics import Reception
from livia.health.wire import Decoder, Verdict

log = structlog.get_logger()

#: room for a burst while the thread is busy, bytes: more than 10,000 heartbeats; the kernel may grant less
_RECEIVE_BUFFER = 16 * 1024 * 1024
#: SO_RCVBUFFORCE of socket(7), which the socket module does not name: beyond rmem_max, for who may
_SO_RCVBUFFORCE = 33
#: how often the receiver looks whether it shall stop, milliseconds
_STOP_POLL = 500
#: seconds from the first datagram's arrival until those are taken that came meanwhile: to wake up for each would cost
#: as much again
_GATHER_SECONDS = 0.002
#: seconds between two log lines about refused datagrams: anybody can send those, at any rate
_COMPLAINT_PAUSE = 10.0


class Listen(Struct, frozen=True, kw_only=True):
    """Where heartbeats come. `buffer`: bytes of the receive queue; 0: as many as a burst needs."""

    address: str
    port: int
    buffer: int = 0


class Receiver:
    """Takes datagrams from a UDP socket as they come; one costs about twenty microseconds."""

    def __init__(self, listen: Listen, decoder: Decoder, fleet: Fleet, clock: Clock, metrics: Reception) -> None:
        family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        size = listen.buffer or _RECEIVE_BUFFER
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        with suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        self._socket.bind((listen.address, listen.port))
        self._socket.setblocking(False)
        self._drain = Drain(self._socket)
        self._decoder = decoder
        self._fleet = fleet
        self._clock = clock
        self._metrics = metrics
        self._accepted = metrics.verdicts.labels(Verdict.ACCEPTED)
        self._waiting = False
        self._heard_until = clock.monotonic()
        self._refused: Counter[Verdict] = Counter()
        self._complained = float("-inf")

    @property
    def port(self) -> int:
        """The UDP port that is listened on."""
        port: int = self._socket.getsockname()[1]
        return port

    def run(self, stop: Event) -> None:
        """Receive until stopped."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while not stop.is_set():
            began = self._clock.monotonic()
            try:
                datagrams = self._drain.take()
            except OSError as error:
                # The outermost loop: who does not receive replaces nobody, and hears nobody.
                log.warning("receiving failed", error=str(error))
                stop.wait(_STOP_POLL / 1000)
                continue
            if datagrams:
                self.receive(datagrams, self._drain.arrived)
            if len(datagrams) < AT_ONCE:
                # That was all that waited.
                self._heard_until = began
                self._complain()
                self._waiting = True
                came = poll.poll(_STOP_POLL)
                self._waiting = False
                if came:
                    time.sleep(_GATHER_SECONDS)

    def close(self) -> None:
        """Give the port back, when nobody asks any more how far we are behind."""
        self._socket.close()

    def receive(self, datagrams: list[bytes], arrived: float) -> None:
        """Take in datagrams, whatever they are. `arrived`: when the first did, in seconds since the epoch."""
        now, at = time.time(), self._clock.monotonic()
        heartbeats: list[Heartbeat] = []
        for datagram in datagrams:
            heartbeat = self._decoder.decode(datagram, now)
            if isinstance(heartbeat, Verdict):
                self._metrics.verdicts.labels(heartbeat).inc()
                self._refused[heartbeat] += 1
            else:
                heartbeats.append(heartbeat)
        self._fleet.hear(heartbeats, at)
        self._accepted.inc(len(heartbeats))
        self._metrics.lost.inc(self._decoder.take_lost())
        self._metrics.waits.observe(max(0.0, time.time() - arrived))
        # If the clock was set back meanwhile nothing is known.
        if arrived <= now:
            self._heard_until = max(self._heard_until, at - (now - arrived))

    def arrived(self) -> float:
        """Until when everything that arrived was heard, in monotonic seconds."""
        now = self._clock.monotonic()
        with suppress(OSError):
            size = array.array("i", [0])
            fcntl.ioctl(self._socket, termios.FIONREAD, size)
            if self._waiting and size[0] == 0:
                return now
        return self._heard_until

    def behind(self) -> float:
        """For how many seconds the first datagram of the queue may have waited."""
        return self._clock.monotonic() - self.arrived()

    def _complain(self) -> None:
        """Tell of refused datagrams, seldom."""
        now = self._clock.monotonic()
        if self._refused and now - self._complained >= _COMPLAINT_PAUSE:
            self._complained = now
            counts = {str(verdict): count for verdict, count in self._refused.items()}
            wrong = self._decoder.take_skewed()
            # Whose clock is wrong can only be mended by who knows where it is.
            log.warning("heartbeats refused", **counts, **({"wrong_clocks": wrong} if wrong else {}))
            self._refused.clear()
