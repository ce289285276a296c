"""What heartbeats count against what clients and servers counted themselves: to the byte where HAProxy passes bytes on.

Every figure is compared twice: the totals that our health manager writes, and the sum of what was added, which is
what a manager of message format 3 writes (contract 95, section 2.1).
"""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from msgspec.structs import replace

from livia.agent.haproxy.master import Master
from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import PoolProtocol
from livia.core.spec import Spec
from tests.agent.lab import VIP, Lab, decode, end, listener, member, pair, pool, single
from tests.waiting import wait_for

_FIELDS = ("rx", "tx", "totconns", "ereq")


class Echo(Thread):
    """A TCP server in a namespace that sends back what it gets."""

    def __init__(self, namespace: str) -> None:
        super().__init__(daemon=True)
        self._listening = kernel.inside(namespace, lambda: socket.create_server(("", 7), backlog=128))

    def run(self) -> None:
        while True:
            try:
                stream, _address = self._listening.accept()
            except OSError:
                return
            Thread(target=self._answer, args=(stream,), daemon=True).start()

    @staticmethod
    def _answer(stream: socket.socket) -> None:
        with stream:
            try:
                while data := stream.recv(65536):
                    stream.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.join()


class Scene:
    """An agent in a process of its own with an echo server, a web server and a client; and what its beats say."""

    def __init__(self, directory: Path) -> None:
        self.lab = Lab(directory, heartbeat_interval=0.3)
        self.lab.spawn()
        self.echo = Echo(self.lab.namespace("echo", "172.31.213.11"))
        self.echo.start()
        self.lab.member("web", "172.31.213.12")
        self.client = self.lab.namespace("client", "172.31.213.100")
        self.generation = 0
        self.added: dict[str, Counter[str]] = {}
        self.totals: dict[tuple[str, str], Counter[str]] = {}
        self.open: dict[str, int] = {}
        self.statuses: dict[str, str] = {}

    def close(self) -> None:
        self.lab.close()
        self.echo.close()

    def apply(self, *specs: Spec) -> None:
        self.generation += 1
        for spec in specs:
            self.lab.apply(spec, self.generation)

    def listen(self) -> None:
        """Take in every beat that has come."""
        self.lab.beats.setblocking(False)
        try:
            while True:
                self._hear(decode(self.lab.beats.recv(65536)))
        except BlockingIOError:
            return
        finally:
            self.lab.beats.settimeout(30.0)

    def _hear(self, beat: dict[str, Any]) -> None:
        for name, total in beat["totals"].items():
            told = Counter({key: total[key] for key in _FIELDS})
            before = self.totals.get((beat["id"], name), Counter())
            assert all(told[key] >= before[key] for key in _FIELDS), "a total went back"
            self.totals[beat["id"], name] = told
        for name, report in beat["listeners"].items():
            self.added.setdefault(name, Counter()).update({key: report["stats"][key] for key in _FIELDS})
            self.open[name] = report["stats"]["conns"]
            self.statuses[name] = report["status"]

    def total(self, name: str) -> tuple[int, int, int, int]:
        """Bytes in, bytes out, connections, errors: the sum over amphorae."""
        self.listen()
        summed = sum((each for (_amphora, key), each in self.totals.items() if key == name), Counter[str]())
        rx, tx, totconns, ereq = (summed[key] for key in _FIELDS)
        return rx, tx, totconns, ereq

    def expect(self, name: str, *figures: int) -> None:
        """Both ways of counting come to these figures, and stay there."""
        wait_for(lambda: self.total(name) == figures or self._tell(name, figures), 30)
        time.sleep(0.4)
        assert self.total(name) == figures
        assert tuple(self.added[name][key] for key in _FIELDS) == figures

    def _tell(self, name: str, figures: tuple[int, ...]) -> bool:
        now = self.total(name)
        assert all(count <= figure for count, figure in zip(now, figures, strict=True)), (now, figures)
        return False

    def connect(self, port: int = 7) -> socket.socket:
        return kernel.inside(self.client, lambda: socket.create_connection((VIP, port), timeout=5))

    def leaving(self, amphora_id: str) -> tuple[int, ...]:
        return Master(self.lab.config.state_directory / "amphorae" / amphora_id).processes().leaving


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("statistics"))
    try:
        yield made
    finally:
        made.close()


def tcp(name: str, **changes: Any) -> Spec:
    """One TCP listener of this name with the echo server."""
    values: dict[str, Any] = {"id": name, "protocol": ListenerProtocol.TCP, "port": 7}
    return single((pool(member(1, port=7), protocol=PoolProtocol.TCP),), (listener(**(values | changes)),))


def exchange(stream: socket.socket, size: int) -> int:
    """Send `size` bytes and get them back."""
    stream.sendall(b"x" * size)
    got = 0
    while got < size:
        chunk = stream.recv(65536)
        assert chunk, "the connection was closed"
        got += len(chunk)
    return size


def test_bytes_and_connections_are_counted_to_the_byte(scene: Scene) -> None:
    scene.apply(tcp("plain"))
    scene.expect("plain", 0, 0, 0, 0)
    moved = 0
    for size in (1, 1000, 300_000):
        with scene.connect() as stream:
            moved += exchange(stream, size)
    scene.expect("plain", moved, moved, 3, 0)


def test_connections_that_live_through_reloads_are_counted_to_their_end(scene: Scene) -> None:
    scene.apply(tcp("lasting"))
    moved = 0
    streams = []
    for number in range(4):
        streams.append(scene.connect())
        # A timeout needs a reload: the connections so far stay with as many old workers.
        scene.apply(tcp("lasting", timeout_client_data=60000 + number))
        moved += sum(exchange(stream, 700 + number) for stream in streams)
    wait_for(lambda: scene.total("lasting")[2] == 4 and scene.open["lasting"] == 4)
    for stream in streams:
        # The last bytes of an old worker: it ends with this connection.
        moved += exchange(stream, 5000)
        stream.close()
    scene.expect("lasting", moved, moved, 4, 0)
    assert scene.open["lasting"] == 0
    wait_for(lambda: scene.leaving("amphora-5") == ())


def test_short_connections_during_reloads_are_all_counted(scene: Scene) -> None:
    scene.apply(tcp("busy"))
    moved = connections = 0

    def reload() -> None:
        for number in range(6):
            scene.apply(tcp("busy", timeout_client_data=60000 + number))

    reloading = Thread(target=reload)
    reloading.start()
    while reloading.is_alive():
        with scene.connect() as stream:
            moved += exchange(stream, 100)
        connections += 1
    reloading.join()
    scene.expect("busy", moved, moved, connections, 0)


def test_a_killed_agent_loses_nothing_of_what_serves(scene: Scene) -> None:
    scene.apply(tcp("orphan"))
    with scene.connect() as stream:
        moved = exchange(stream, 1234)
        # What was added since the last beat is told once, perhaps in a beat that was not sent; totals are told again.
        scene.expect("orphan", moved, moved, 1, 0)
        scene.lab.kill()
        moved += exchange(stream, 4321)
        with scene.connect() as other:
            moved += exchange(other, 99)
        scene.lab.spawn()
        moved += exchange(stream, 1)
    scene.expect("orphan", moved, moved, 2, 0)


def test_a_killed_worker_takes_no_more_than_was_not_looked_at(scene: Scene) -> None:
    scene.apply(tcp("crash"))
    with scene.connect() as stream:
        moved = exchange(stream, 2000)
    scene.expect("crash", moved, moved, 1, 0)
    end(scene.lab.worker_pid("amphora-5"))
    wait_for(lambda: _served(scene))
    first = scene.total("crash")
    assert first[:2] >= (moved, moved)
    wait_for(lambda: scene.total("crash")[0] > moved)


def _served(scene: Scene) -> bool:
    try:
        with scene.connect() as stream:
            return exchange(stream, 10) == 10
    except (OSError, AssertionError):
        return False


def test_a_listener_that_is_taken_away_is_counted_to_its_end(scene: Scene) -> None:
    scene.apply(tcp("gone"))
    with scene.connect() as stream:
        moved = exchange(stream, 3000)
    scene.apply(replace(tcp("gone"), listeners=()))
    wait_for(lambda: scene.total("gone") == (moved, moved, 1, 0))
    scene.apply(tcp("gone"))
    with scene.connect() as stream:
        moved += exchange(stream, 30)
    wait_for(lambda: scene.total("gone") == (moved, moved, 2, 0))


def test_a_full_listener_says_so(scene: Scene) -> None:
    scene.apply(tcp("small", connection_limit=1))
    wait_for(lambda: scene.total("small") is not None and scene.statuses.get("small") == "OPEN")
    with scene.connect() as stream:
        exchange(stream, 1)
        wait_for(lambda: scene.total("small")[2] == 1 and scene.statuses["small"] == "FULL")
    wait_for(lambda: scene.total("small")[2] == 1 and scene.statuses["small"] == "OPEN")


def test_requests_are_counted_alike_and_bad_ones_as_errors(scene: Scene) -> None:
    # HAProxy counts a request's parsed form, which is not as long as what came over the wire: so one is compared
    # with many.
    web = single((pool(member(2)),), (listener(id="web"),))
    scene.apply(web)
    assert scene.lab.get(scene.client, VIP) == (200, "web")
    # Bytes are added when the request ends, its connection when it begins.
    wait_for(lambda: min(scene.total("web")[:3]) > 0)
    one_in, one_out, _connections, _errors = scene.total("web")
    assert min(one_in, one_out) > 50
    for number in range(5):
        assert scene.lab.get(scene.client, VIP) == (200, "web")
        if number == 2:
            scene.apply(replace(web, listeners=(listener(id="web", timeout_client_data=61000),)))
    scene.expect("web", 6 * one_in, 6 * one_out, 6, 0)
    with scene.connect(80) as stream:
        stream.sendall(b"this is no request\r\n\r\n")
        assert b"400" in stream.recv(1000)
    wait_for(lambda: scene.total("web")[2:] == (7, 1))


def test_an_amphora_that_is_removed_tells_what_it_counted_last(scene: Scene) -> None:
    scene.apply(tcp("last"))
    scene.expect("last", 0, 0, 0, 0)
    with scene.connect() as stream:
        moved = exchange(stream, 7777)
    assert scene.lab.remove("amphora-5") == 204
    assert scene.total("last") == (moved, moved, 1, 0)


def test_both_amphorae_of_a_pair_add_up(scene: Scene) -> None:
    pools = (pool(member(1, port=7), protocol=PoolProtocol.TCP),)
    specs = pair(pools, (listener(id="shared", protocol=ListenerProtocol.TCP, port=7),))
    scene.apply(*specs)
    wait_for(lambda: _served(scene))
    moved, connections = 10, 1
    for _takeover in range(2):
        with scene.connect() as stream:
            moved += exchange(stream, 500)
        connections += 1
        holder = next(each for each in specs if _holds(scene.lab, each))
        ended = _keepalived(scene.lab, holder)
        end(ended)
        wait_for(partial(_moved, scene.lab, holder, specs))
        # It is the next to take over: until it is there again, nobody can.
        wait_for(partial(_another, scene.lab, holder, ended))
    with scene.connect() as stream:
        moved += exchange(stream, 500)
    scene.expect("shared", moved, moved, connections + 1, 0)
    counting = [each for each in specs if scene.totals[each.amphora_id, "shared"]["totconns"]]
    assert counting == list(specs)


def _moved(lab: Lab, holder: Spec, specs: tuple[Spec, ...]) -> bool:
    return not _holds(lab, holder) and any(_holds(lab, each) for each in specs)


def _holds(lab: Lab, spec: Spec) -> bool:
    return bool(lab.request("GET", f"/v1/amphorae/{spec.amphora_id}").json()["holds_vip"])


def _keepalived(lab: Lab, spec: Spec) -> int:
    """Its process id; 0 while it is not running."""
    try:
        return int((lab.config.state_directory / "amphorae" / spec.amphora_id / "k.pid").read_text() or 0)
    except FileNotFoundError:
        return 0


def _another(lab: Lab, spec: Spec, ended: int) -> bool:
    return _keepalived(lab, spec) not in (0, ended)
