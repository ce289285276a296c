"""Amphorae that only report: real datagrams, and a real second path that tells whether they forward."""

import hmac
import socket
import time
import zlib
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from uuid import uuid4

import msgspec
from sqlalchemy import insert, select

from livia.core.report import Applied, Heartbeat
from livia.store import tables as t
from livia.store.engine import Database
from tests.storm.manager import KEY


class Amphorae:
    """`count` amphorae, a hundred on each host, that beat once in `interval` seconds.

    `cut`: their heartbeats are lost; `dead`: they neither beat nor forward; `lost`: they do not answer on the
    second path either; `apart`: nobody answers there.
    """

    def __init__(self, count: int, interval: float) -> None:
        self.ids = [str(uuid4()) for _ in range(count)]
        self.cut: set[str] = set()
        self.dead: set[str] = set()
        self.lost: set[str] = set()
        self.apart = False
        self.port = 0
        self._interval = interval
        self._mac = hmac.new(KEY.encode(), digestmod="sha256")
        self._boot = uuid4().hex[:16]
        self._seq = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stop = Event()
        self._sender = Thread(target=self._beat, name="amphorae")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._answers = Thread(target=self._server.serve_forever, name="second path", args=(0.05,))

    @property
    def second_path(self) -> int:
        """The TCP port of the second path."""
        return self._server.server_address[1]

    def put_into(self, database: Database) -> None:
        """Each has a load balancer of its own, that is ACTIVE and was last heard of an hour ago."""
        now = datetime(2026, 1, 1)  # noqa: DTZ001 - naive UTC, as the tables hold it
        balancers = [
            {
                "id": each,
                "enabled": True,
                "provisioning_status": "ACTIVE",
                "operating_status": "ONLINE",
                "generation": 1,
                "topology": "SINGLE",
                "provider": "amphora",
                "created_at": now,
            }
            for each in self.ids
        ]
        amphorae = [
            {
                "id": each,
                "load_balancer_id": each,
                "status": "ALLOCATED",
                "role": "STANDALONE",
                "compute_id": f"host-{number // 100}",
                "lb_network_ip": "127.0.0.1",
                "applied_generation": 1,
                "holds_vip": True,
                "created_at": now,
            }
            for number, each in enumerate(self.ids)
        ]
        with database.write() as connection:
            connection.execute(insert(t.load_balancer), balancers)
            connection.execute(insert(t.amphora), amphorae)
            connection.execute(
                insert(t.amphora_health), [{"amphora_id": each, "last_update": now, "busy": False} for each in self.ids]
            )

    def start(self, port: int) -> None:
        """Beat to a manager's port."""
        self.port = port
        self._answers.start()
        self._sender.start()

    def stop(self) -> None:
        self._stop.set()
        self._sender.join()
        self._server.shutdown()
        self._answers.join()
        self._server.server_close()
        self._socket.close()

    def burst(self, count: int) -> None:
        """So many datagrams as fast as they can be sent."""
        datagrams = [self._datagram(self.ids[number % len(self.ids)]) for number in range(count)]
        for each in datagrams:
            self._socket.sendto(each, ("127.0.0.1", self.port))

    def _beat(self) -> None:
        pause = self._interval / len(self.ids) * 50
        due = time.monotonic()
        while not self._stop.is_set():
            for number, each in enumerate(self.ids):
                if each not in self.cut and each not in self.dead:
                    self._socket.sendto(self._datagram(each), ("127.0.0.1", self.port))
                if number % 50 == 49:
                    due = max(due + pause, time.monotonic() - self._interval)
                    self._stop.wait(max(0.0, due - time.monotonic()))

    def _datagram(self, amphora_id: str) -> bytes:
        self._seq += 1
        beat = Heartbeat(id=amphora_id, seq=self._seq, boot=self._boot, sent=time.time(), generation=1, holds_vip=True)
        payload = zlib.compress(msgspec.json.encode(beat), 1)
        mac = self._mac.copy()
        mac.update(payload)
        return payload + mac.hexdigest().encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        amphorae = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                amphora_id = self.path[1:]
                if amphorae.apart or amphora_id in amphorae.lost:
                    self.close_connection = True
                    return
                body = msgspec.json.encode(
                    Applied(
                        amphora_id=amphora_id,
                        load_balancer_id=amphora_id,
                        generation=1,
                        digest="",
                        fence=1,
                        holds_vip=True,
                        forwarding=amphora_id not in amphorae.dead,
                    )
                )
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        return Handler


def replaced(database: Database) -> set[str]:
    """Amphorae that were declared dead."""
    with database.read() as connection:
        return set(connection.execute(select(t.amphora.c.id).where(t.amphora.c.status != "ALLOCATED")).scalars())
