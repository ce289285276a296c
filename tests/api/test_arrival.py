"""Bodies arrive before the application is called, and it works on few requests at a time."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

import pytest

from livia.api.arrival import in_turn, whole_bodies
from tests.api.client import Client
from tests.api.harness import Harness

SUBNET = "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"
LARGEST = 114688
CHUNKED = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

BODY = json.dumps({"loadbalancer": {"vip_subnet_id": SUBNET}}).encode()
#: how a body is sent, the body, the answer's status
SENT: list[tuple[dict[str, Any], bytes, int]] = [
    ({}, BODY, 201),
    (CHUNKED, BODY, 201),
    (CHUNKED, BODY.ljust(LARGEST), 201),
    (CHUNKED, BODY.ljust(LARGEST + 1), 413),
    (CHUNKED, BODY.ljust(3 * LARGEST), 413),
    ({}, BODY.ljust(LARGEST + 1), 413),
    # A server that does not say where chunks end.
    ({**CHUNKED, "wsgi.input_terminated": False}, BODY, 400),
    (CHUNKED, b"", 400),
]


def test_bodies_have_a_length_however_they_are_sent(harness: Harness) -> None:
    client = Client(whole_bodies(harness.app, LARGEST))
    headers = {"Content-Type": "application/json"}
    for environ, body, status in SENT:
        answer = client.request("POST", "/v2/lbaas/loadbalancers", body, headers=headers, environ=environ)
        assert answer.status == status, (environ, len(body), answer.body)


class Counting:
    """An application that counts who is in it; every third request fails."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.002)
        with self._lock:
            self.inside -= 1
        if environ["number"] % 3 == 0:
            raise ValueError("a third")
        return [b"done"]


def test_few_requests_are_worked_on_at_a_time() -> None:
    app = Counting()
    limited = in_turn(app, 2)

    def call(number: int) -> None:
        if number % 3 == 0:
            with pytest.raises(ValueError, match="third"):
                limited({"number": number}, print)
        else:
            assert limited({"number": number}, print) == [b"done"]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(40)))
    assert app.most == 2
