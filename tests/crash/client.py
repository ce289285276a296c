"""A client of the API that never gives up: every write has a definite answer in the end, or is found out about."""

import http.client
import json
import random
import time
from collections import Counter, deque
from threading import Event
from typing import Any
from uuid import uuid4

from msgspec import Struct

#: seconds for an answer; longer than anything is stopped, so that no request is carried out behind our back
_PATIENCE = 90.0
_ADMIN = {"X-Roles": "admin", "X-Project-Id": "operators"}


class Answer(Struct, frozen=True):
    """`status` is None when the connection broke before the answer."""

    status: int | None
    body: dict[str, Any]

    @property
    def definite(self) -> bool:
        """Whether it says if the request was carried out."""
        # 501 is a refusal of the provider's.
        return self.status is not None and (self.status < 500 or self.status == 501)

    @property
    def done(self) -> bool:
        return self.status is not None and self.status < 400


class Diary:
    """What happened last, and how often what was answered. Safe in several threads."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.last: deque[str] = deque(maxlen=400)
        self.broken: list[str] = []
        self.answers: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def note(self, text: str) -> None:
        """Something happened."""
        self.last.append(f"{time.monotonic() - self._begun:8.2f} {time.strftime('%H:%M:%S')} {text}")

    def begin_round(self) -> None:
        """What was before is of no interest any more."""
        self.last.clear()
        self.broken.clear()

    def fault(self, text: str) -> None:
        """A fault begins or ends."""
        self.note(text)
        self.broken.append(self.last[-1])

    def text(self, lines: int) -> str:
        """The faults of the round, and the last entries of all kinds."""
        return "\n".join([*self.broken, "-- last operations:", *list(self.last)[-lines:]])


class UndecidedError(Exception):
    """The API gave no definite answer for too long."""


class Connection:
    """The API as one tenant's client, or as the operator (`project` None)."""

    def __init__(self, port: int, project: str | None, name: str, diary: Diary) -> None:
        self._port = port
        self._name = name
        self.diary = diary
        self._headers = (
            _ADMIN
            if project is None
            else {"X-Roles": "member,load-balancer_member", "X-Project-Id": project, "X-User-Id": name}
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Answer:
        """One request, once."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        headers = {"Content-Type": "application/json", **self._headers}
        if key is not None:
            headers["Idempotency-Key"] = key
        begun = time.monotonic()
        try:
            service = "/v2" if path.startswith("/octavia/") else "/v2/lbaas"
            connection.request(method, f"{service}{path}", None if body is None else json.dumps(body), headers)
            answered = connection.getresponse()
            data = answered.read()
            answer = Answer(answered.status, json.loads(data) if data else {})
        except (OSError, http.client.HTTPException, ValueError) as error:
            answer = Answer(None, {"faultstring": repr(error)})
        finally:
            connection.close()
        if method != "GET":
            said = "" if answer.done else f" {answer.body.get('faultstring', answer.body)}"
            what = f"{self._name} {method} {path} {json.dumps(body) if body else ''}"
            self.diary.note(f"{what[:300]} -> {answer.status}{said[:200]} ({time.monotonic() - begun:.2f} s)")
            self.diary.answers[f"{method} {answer.status}"] += 1
        return answer

    def surely(self, method: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = 180.0) -> Answer:
        """The same request until it has a definite answer: with one key where that is of use. Raises UndecidedError."""
        key = str(uuid4()) if method == "POST" else None
        deadline = time.monotonic() + seconds
        lost = False
        while True:
            answer = self.ask(method, path, body, key=key)
            if answer.definite:
                # What was done by the first of two requests for it is not there for the second one.
                return Answer(204, {}) if lost and method == "DELETE" and answer.status == 404 else answer
            lost = True
            if time.monotonic() > deadline:
                raise UndecidedError(f"{method} {path}: {answer.status} {answer.body} for {seconds:.0f} s")
            time.sleep(0.2)

    def get(self, path: str) -> Answer:
        """What the API shows, as soon as it answers."""
        return self.surely("GET", path)

    def all(self, path: str, collection: str) -> list[dict[str, Any]]:
        """Every entry of a list, as soon as the API answers. Raises AssertionError when it is refused."""
        answer = self.get(path)
        assert answer.status == 200, f"GET {path}: {answer}"
        found: list[dict[str, Any]] = answer.body[collection]
        return found


def pause(rng: random.Random, stop: Event) -> bool:
    """A short rest; whether to go on."""
    return not stop.wait(rng.uniform(0.02, 0.25))
