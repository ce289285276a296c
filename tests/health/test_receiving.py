"""Datagrams through a real socket: when they arrived, and until when everything was heard."""

import hashlib
import hmac
import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from threading import Event, Thread

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from livia.health.drain import AT_ONCE, Drain
from livia.health.fleet import Fleet
from livia.health.metrics import Metrics
from livia.health.receiver import Listen, Receiver
from livia.health.wire import Decoder
from tests.health.scene import ManualClock


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where datagrams come, and where they are sent."""
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as here,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as there,
    ):
        here.bind(("127.0.0.1", 0))
        there.connect(here.getsockname())
        yield here, there


def test_datagrams_come_in_order_with_the_arrival_of_the_first(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    drain = Drain(here)
    sent = [str(number).encode() for number in range(AT_ONCE + 2)]
    began = time.time()
    there.send(sent[0])
    first = time.time()
    time.sleep(0.05)
    for each in sent[1:]:
        there.send(each)
    assert drain.take() == sent[:AT_ONCE]
    assert began <= drain.arrived <= first
    assert drain.take() == sent[AT_ONCE:]
    assert drain.arrived >= first + 0.05
    assert drain.take() == []


def test_what_waited_is_told_and_silence_counts_until_then() -> None:
    clock, registry = ManualClock(), CollectorRegistry()
    listen = Listen(address="127.0.0.1", port=0)
    receiver = Receiver(listen, Decoder("key"), Fleet(), clock, Metrics(registry).reception)
    with closing(receiver):
        clock.seconds += 10
        receiver.receive([b"forged"], time.time() - 4)
        assert receiver.behind() == pytest.approx(4, abs=0.5)
        assert registry.get_sample_value("livia_heartbeats_wait_seconds_sum") == pytest.approx(4, abs=0.5)
        # The clock was set back: who knows how long that one waited?
        clock.seconds += 1
        receiver.receive([b"forged"], time.time() + 100)
        assert receiver.behind() == pytest.approx(5, abs=0.5)
    assert registry.get_sample_value("livia_heartbeats_total", {"verdict": "forged"}) == 2


def test_the_log_says_whose_clock_is_wrong() -> None:
    decoder = Decoder("key")
    receiver = Receiver(
        Listen(address="127.0.0.1", port=0), decoder, Fleet(), ManualClock(), Metrics(CollectorRegistry()).reception
    )
    text = zlib.compress(json.dumps({"id": "host-7", "seq": 1, "boot": "b", "sent": time.time() - 4000}).encode())
    signed = text + hmac.new(b"key", text, hashlib.sha256).hexdigest().encode()
    stop = Event()
    with capture_logs() as lines, closing(receiver), closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as there:
        thread = Thread(target=receiver.run, args=(stop,))
        thread.start()
        there.sendto(signed, ("127.0.0.1", receiver.port))
        deadline = time.monotonic() + 10
        while not lines and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join()
    (line,) = lines
    assert (line["event"], line["skewed"], line["wrong_clocks"]) == ("heartbeats refused", 1, ["host-7"])
