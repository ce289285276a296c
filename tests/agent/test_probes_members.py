"""Checks of every kind that the agent makes itself, against members in namespaces of their own."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from livia.agent.plumbing import kernel
from livia.agent.probes.prober import Prober
from livia.agent.probes.sctp import packet
from livia.agent.probes.watch import Watch
from livia.core.model.pool import MonitorType, PoolProtocol
from livia.core.spec import MemberSpec, MonitorSpec, PoolSpec
from tests.agent.lab import Lab, member, monitor, pool, single
from tests.waiting import wait_for

_ADDRESS = "172.31.213.11"
_GONE = "172.31.213.77"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Place"]:
    lab = Lab(tmp_path_factory.mktemp("probes"))
    faults: list[None] = []
    prober = Prober(lambda: faults.append(None))
    prober.open()
    try:
        lab.config.state_directory.mkdir()
        lab.fabric.open()
        yield Place(lab, prober)
    finally:
        prober.close()
        lab.close()
    assert faults == []


class Place:
    """A namespace to check from, and one with the members."""

    def __init__(self, lab: Lab, prober: Prober) -> None:
        self.prober = prober
        self.directory = lab.directory
        self.here = lab.namespace("amphora", "172.31.213.5")
        self.members = lab.namespace("members", _ADDRESS)
        for namespace, address in ((self.here, "fd00:213::5"), (self.members, "fd00:213::11")):
            kernel.ip(["-n", namespace, "address", "add", f"{address}/64", "dev", "eth0", "nodad"])

    @contextmanager
    def watching(self, *pools: PoolSpec) -> Iterator["Sight"]:
        sight = Sight(self)
        sight.follow(*pools)
        try:
            yield sight
        finally:
            self.prober.forget(sight.watch)
            sight.memory.unlink(missing_ok=True)


class Sight:
    """A watch, and what it told."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.memory = place.directory / "verdicts.json"
        self.told: list[frozenset[tuple[str, str]]] = []
        self.watch: Watch = place.prober.watch(place.here, self.memory, self.told.append)

    def follow(self, *pools: PoolSpec) -> None:
        self.place.prober.follow(self.watch, single(pools))

    def texts(self) -> list[str | None]:
        return [self.watch.text("pool-1", f"m{number}") for number in (1, 2)]

    def settles(self, *texts: str) -> None:
        wait_for(lambda: self.texts() == list(texts))


def _datagrams(kind: MonitorType, *members: MemberSpec, **changes: Any) -> PoolSpec:
    return pool(*members, protocol=PoolProtocol.UDP, monitor=monitor(type=kind, **changes))


@contextmanager
def _serving(place: Place, kind: int, serve: Callable[[socket.socket], None], port: int = 0) -> Iterator[int]:
    """A server in the members' namespace; its socket is closed at the end, which ends `serve`'s thread."""
    stopped = Event()

    def open_it() -> socket.socket:
        opened = socket.socket(socket.AF_INET, kind, 132 if kind == socket.SOCK_RAW else 0)
        opened.settimeout(0.1)
        if kind != socket.SOCK_RAW:
            opened.bind(("", port))
        if kind == socket.SOCK_STREAM:
            opened.listen(16)
        return opened

    opened = kernel.inside(place.members, open_it)

    def loop() -> None:
        while not stopped.is_set():
            try:
                serve(opened)
            except OSError:
                continue

    thread = Thread(target=loop)
    thread.start()
    try:
        yield 0 if kind == socket.SOCK_RAW else opened.getsockname()[1]
    finally:
        stopped.set()
        thread.join()
        opened.close()


def _swallow(opened: socket.socket) -> None:
    opened.recvfrom(64)


def test_ping_over_both_versions_of_ip(place: Place) -> None:
    six = member(2, address="fd00:213::11")
    with place.watching(pool(member(1), six, monitor=monitor(type=MonitorType.PING, rise=1, fall=2))) as sight:
        sight.settles("UP", "UP")
        kernel.ip(["-n", place.here, "route", "add", "blackhole", f"{_ADDRESS}/32"])
        try:
            sight.settles("DOWN", "UP")
            wait_for(lambda: sight.told == [{("pool-1", "m1")}])
            assert not sight.watch.up("pool-1", "m1")
            assert sight.watch.dead() == {("pool-1", "m1")}
        finally:
            kernel.ip(["-n", place.here, "route", "delete", "blackhole", f"{_ADDRESS}/32"])
        sight.settles("UP", "UP")


def test_a_silent_member_keeps_nobody_waiting(place: Place) -> None:
    silent = tuple(member(number, address=f"172.31.213.{number}") for number in range(40, 90))
    spec = pool(member(1), *silent, monitor=monitor(type=MonitorType.PING, timeout=30))
    with place.watching(spec) as sight:
        wait_for(lambda: sight.watch.text("pool-1", "m1") == "UP")


def test_udp_is_down_where_it_is_refused_or_nobody_lives(place: Place) -> None:
    with _serving(place, socket.SOCK_DGRAM, _swallow) as port:
        up, closed = member(1, port=port), member(2, port=9)
        with place.watching(_datagrams(MonitorType.UDP_CONNECT, up, closed)) as sight:
            sight.settles("UP", "DOWN")
            sight.follow(_datagrams(MonitorType.UDP_CONNECT, up, member(2, address=_GONE)))
            wait_for(lambda: sight.texts() == ["UP", "DOWN"], 30)


def test_sctp_is_up_when_init_is_acknowledged(place: Place) -> None:
    def acknowledge(opened: socket.socket) -> None:
        data, sender = opened.recvfrom(2048)
        message = data[20:]
        source, destination = struct.unpack_from("!HH", message)
        tag = struct.unpack_from("!I", message, 16)[0]
        # Port 5000 listens; any other is aborted (RFC 9260, section 8.4).
        chunk = struct.pack("!BBHIIHHI", 2, 0, 20, 77, 65536, 1, 1, 1) if destination == 5000 else b"\6\0\0\4"
        opened.sendto(packet(destination, source, tag, chunk), sender)

    with _serving(place, socket.SOCK_RAW, acknowledge):
        spec = _datagrams(MonitorType.SCTP, member(1, port=5000), member(2, port=5001))
        with place.watching(spec) as sight:
            sight.settles("UP", "DOWN")
    with place.watching(spec) as sight:
        # The kernel has no SCTP: nobody answers.
        sight.settles("DOWN", "DOWN")


def test_tcp_of_a_datagram_pool(place: Place) -> None:
    with _serving(place, socket.SOCK_STREAM, lambda opened: opened.accept()[0].close()) as port:
        elsewhere = member(2, address=_GONE, port=9, monitor_address=_ADDRESS, monitor_port=port)
        with place.watching(_datagrams(MonitorType.TCP, member(1, port=9), elsewhere)) as sight:
            sight.settles("DOWN", "UP")


@pytest.mark.parametrize(
    ("changes", "asked", "up"),
    [
        ({}, "GET / HTTP/1.0\r\n\r\n", False),
        ({"expected_codes": "200-204"}, "GET / HTTP/1.0\r\n\r\n", True),
        (
            {
                "http_method": "HEAD",
                "url_path": "/a?b=c",
                "expected_codes": "200,203",
                "http_version": 1.1,
                "domain_name": "x.example",
            },
            "HEAD /a?b=c HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n",
            True,
        ),
    ],
)
def test_http_of_a_datagram_pool(place: Place, changes: dict[str, Any], asked: str, up: bool) -> None:
    requests: list[str] = []

    def answer(opened: socket.socket) -> None:
        stream, _peer = opened.accept()
        with stream:
            requests.append(stream.recv(4096).decode())
            # In two pieces, as a network may deliver it.
            stream.sendall(b"HTTP/1.1 20")
            stream.sendall(b"3 Fine\r\n\r\n")

    with _serving(place, socket.SOCK_STREAM, answer) as port:
        members = member(1, port=port), member(2, port=9)
        with place.watching(_datagrams(MonitorType.HTTP, *members, **changes)) as sight:
            sight.settles("UP" if up else "DOWN", "DOWN")
            # Members are taken for up before they are asked.
            wait_for(lambda: requests)
    assert set(requests) == {asked}


def test_verdicts_outlive_other_changes_and_the_agent(place: Place) -> None:
    checks = monitor(type=MonitorType.PING, fall=2)
    with place.watching(pool(member(1), member(2, address=_GONE), monitor=checks)) as sight:
        sight.settles("UP", "DOWN")
        sight.follow(pool(member(1), member(2, address=_GONE, weight=3), monitor=replace(checks, fall=3, delay=2)))
        assert sight.texts() == ["UP", "DOWN"]
        wait_for(sight.memory.exists)
        place.prober.forget(sight.watch)
        later = Sight(place)
        later.follow(pool(member(1), member(2, address=_GONE), monitor=checks))
        assert later.texts() == ["UP", "DOWN"]
        # Elsewhere it is another matter, and a disabled member none at all.
        later.follow(pool(member(1, enabled=False), member(2, address=_ADDRESS), monitor=checks))
        assert later.texts() == [None, "UP 1/2"]
        wait_for(lambda: later.told == [{("pool-1", "m2")}])
        place.prober.forget(later.watch)


def test_what_has_no_monitor_of_ours_is_up(place: Place) -> None:
    with place.watching(
        pool(member(1), monitor=MonitorSpec(type=MonitorType.TCP, delay=1, timeout=1, rise=1, fall=1))
    ) as sight:
        assert (sight.watch.text("pool-1", "m1"), sight.watch.up("pool-1", "m1")) == (None, True)
        assert not sight.memory.exists()
