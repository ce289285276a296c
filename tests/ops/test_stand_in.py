"""An API that cannot start: clients are told so, and why, and nobody notices when it is up again."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from livia.ops.serving import listen
from livia.ops.status import children
from tests.waiting import wait_for


class Api:
    """What clients of a supervised API meet."""

    def __init__(self, listening: socket.socket, directory: Path, supervisor: int) -> None:
        self._port = listening.getsockname()[1]
        self._directory = directory
        self._supervisor = supervisor

    def starts(self, how: str) -> None:
        """From now on the API starts so: `well`, or in one of the ways of `tests.ops.supervised`."""
        self._directory.joinpath("fresh").write_text(how)
        self._directory.joinpath("fresh").replace(self._directory / "how")

    def ask(self, method: str = "POST", body: bytes = b"{}") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, "/v2/lbaas/loadbalancers", body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def told(self) -> str:
        """The reason of a refusal."""
        status, headers, body = self.ask()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "5", "close")
        said = json.loads(body)
        assert (said["faultcode"], said["debuginfo"]) == ("Server", None)
        return str(said["faultstring"])

    def pid(self, service: str) -> int:
        """0: there is none."""
        for pid in children(self._supervisor):
            with suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text().strip() == f"livia-{service}":
                    return pid
        return 0

    def end(self, number: signal.Signals) -> None:
        """End the process of the API."""
        os.kill(self.pid("api"), number)


@contextmanager
def supervised(directory: Path, how: str, *, file: str = "how") -> Iterator[Api]:
    """An API that starts as `how` says in the file (`tests.ops.supervised`)."""
    (directory / file).write_text(how)
    with listen("127.0.0.1", 0) as listening:
        descriptor = listening.fileno()
        command = [sys.executable, "-m", "tests.ops.supervised", str(descriptor), str(directory)]
        with subprocess.Popen(command, pass_fds=[descriptor]) as process:
            try:
                wait_for((directory / "started").exists)
                yield Api(listening, directory, process.pid)
            finally:
                process.terminate()


REASONS = {
    "refuse": "The sentence of an operator.",
    "crash": "Its log tells of an unexpected ValueError.",
    "die": "It ended with status 1.",
}


@pytest.mark.parametrize("how", REASONS)
def test_who_cannot_start_says_why_until_it_can(tmp_path: Path, how: str) -> None:
    with supervised(tmp_path, how) as api:
        assert api.told() == f"The API cannot start, and is started again and again. {REASONS[how]}"
        assert api.ask("HEAD")[::2] == (503, b"")
        assert api.ask(body=bytes(1 << 20))[0] == 503
        api.starts("well")
        seen = set()
        while (status := api.ask()[0]) != 200:
            seen.add(status)
        assert seen <= {503}
        wait_for(lambda: not api.pid("stand-in"))
        assert [api.ask()[0] for _ in range(20)] == [200] * 20


def test_a_start_that_hangs_leaves_nobody_waiting(tmp_path: Path) -> None:
    with supervised(tmp_path, "hang") as api:
        assert api.told() == "The API is starting."
        api.starts("refuse")
        wait_for(lambda: "sentence of an operator" in api.told())
        api.starts("well")
        wait_for(lambda: api.ask()[0] == 200)


def test_who_has_served_is_stood_in_for_too(tmp_path: Path) -> None:
    with supervised(tmp_path, "well") as api:
        assert api.ask()[0] == 200
        for number in (signal.SIGKILL, signal.SIGTERM):
            # A restart that works is waited for.
            before = api.pid("api")
            api.end(number)
            wait_for(lambda before=before: api.pid("api") not in (0, before))  # type: ignore[misc]
            assert api.ask()[0] == 200
        api.starts("refuse")
        api.end(signal.SIGKILL)
        wait_for(lambda: api.ask()[0] == 503)
        assert "sentence of an operator" in api.told()


def test_no_request_is_lost_when_the_api_takes_over(tmp_path: Path) -> None:
    failed: list[str] = []
    answers: list[int] = []
    stop = Event()
    with supervised(tmp_path, "refuse") as api:

        def ask() -> None:
            while not stop.is_set():
                try:
                    answers.append(api.ask()[0])
                except (OSError, http.client.HTTPException) as error:
                    failed.append(repr(error))

        threads = [Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            api.starts("refuse")
            if api.pid("api"):
                api.end(signal.SIGTERM)
            wait_for(lambda: answers[-1:] == [503])
            api.starts("well")
            wait_for(lambda: answers[-1:] == [200] and not api.pid("stand-in"), 60)
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert set(answers) == {200, 503}
