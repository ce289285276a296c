"""The health manager: one thread receives, one writes, one watches."""

import socket
import time
from threading import Event, Thread

import structlog
from prometheus_client import CollectorRegistry, Counter

from livia.health.fleet import Fleet
from livia.health.watch import Watch
from livia.health.wire import Decoder, Verdict
from livia.health.writer import Writer

log = structlog.get_logger()

#: UDP's own limit, bytes
_LARGEST_DATAGRAM = 65535
#: room for a burst while the thread is busy, bytes; the kernel may grant less
_RECEIVE_BUFFER = 8 * 1024 * 1024
#: how often the receiver looks whether it shall stop, seconds
_STOP_POLL = 0.5


class Receiver:
    """Plain blocking receive; about twelve microseconds a heartbeat, and no SQL (design, section 9)."""

    def __init__(self, address: tuple[str, int], decoder: Decoder, fleet: Fleet, registry: CollectorRegistry) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.bind(address)
        self._socket.settimeout(_STOP_POLL)
        self._decoder = decoder
        self._fleet = fleet
        self._verdicts = Counter(
            "livia_heartbeats_total", "Heartbeat datagrams by verdict.", ["verdict"], registry=registry
        )

    @property
    def port(self) -> int:
        """The UDP port that is listened on."""
        port: int = self._socket.getsockname()[1]
        return port

    def run(self, stop: Event) -> None:
        """Receive until stopped."""
        while not stop.is_set():
            try:
                datagram = self._socket.recv(_LARGEST_DATAGRAM)
            except TimeoutError:
                continue
            self.receive(datagram)
        self._socket.close()

    def receive(self, datagram: bytes) -> None:
        """Take in one datagram, whatever it is."""
        heartbeat = self._decoder.decode(datagram, time.time())
        if isinstance(heartbeat, Verdict):
            self._verdicts.labels(heartbeat).inc()
            log.warning("heartbeat refused", verdict=str(heartbeat), size=len(datagram))
            return
        self._verdicts.labels(Verdict.ACCEPTED).inc()
        self._fleet.hear(heartbeat, time.monotonic())


class HealthManager:
    """Wires the three threads."""

    def __init__(self, receiver: Receiver, writer: Writer, watch: Watch) -> None:
        self._receiver = receiver
        self._writer = writer
        self._watch = watch

    def run(self, stop: Event) -> None:
        """Run until stopped; what was heard is written before the end."""
        threads = [
            Thread(target=self._receiver.run, args=(stop,), name="receiver"),
            Thread(target=self._watch.run, args=(stop,), name="watch"),
        ]
        for thread in threads:
            thread.start()
        self._writer.run(stop)
        for thread in threads:
            thread.join()
