"""The HAProxy master: reloads, and workers that are on their way out (management guide, section 9.4)."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from livia.agent.haproxy.program import telling
from livia.agent.haproxy.runtime import RuntimeApiError, Worker, ask

#: seconds for a reload: some 200 ms for a thousand members
_PATIENCE = 30.0
#: seconds in which a master answers that has just forked its first worker: until then it starts itself anew
_STARTING = 2.0
_PAUSE = 0.004
#: old workers that may finish at the same time, with the one just replaced: some 5 MB each
_MOST_LEAVING = 50
_ROW = re.compile(r"^(\d+)\s+(master|worker)\s+(\d+)")


class Processes(Struct, frozen=True):
    """`show proc`: how often the master was reloaded, the workers that serve, and those that only finish,
    the oldest first."""

    reloads: int
    workers: tuple[int, ...]
    leaving: tuple[int, ...]


class ReloadFailedError(Exception):
    """The new worker did not come; the old one goes on. `said`: HAProxy's words about it."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


class Master:
    """The master process of one amphora."""

    def __init__(self, directory: Path, most_leaving: int = _MOST_LEAVING) -> None:
        self._directory = directory
        self._log = directory / "h.log"
        self._most_leaving = most_leaving

    def processes(self) -> Processes:
        """What `show proc` says. Raises RuntimeApiError."""
        reloads, workers, leaving = 0, list[tuple[int, int]](), list[tuple[int, int]]()
        group = workers
        for text in ask(self._directory, "m.sock", "show proc").splitlines():
            if text.startswith("# old workers"):
                group = leaving
            elif text.startswith("# programs"):
                break
            row = _ROW.match(text)
            if row and row[2] == "master":
                reloads = int(row[3])
            elif row:
                group.append((-int(row[3]), int(row[1])))
        # The column counts the reloads that a worker has outlived.
        return Processes(reloads, tuple(pid for _age, pid in workers), tuple(pid for _age, pid in sorted(leaving)))

    def ask_worker(self, pid: int, command: str) -> str:
        """The answer of one worker, also of one that is leaving. Raises RuntimeApiError."""
        return ask(self._directory, "m.sock", f"@!{pid} {command}")

    def reload(self) -> None:
        """Load the file anew without losing a connection; returns when the new worker serves. Of too many old
        workers the oldest end at once, and with them the connections that they still have.

        Raises ReloadFailedError, or RuntimeApiError when there is no master.
        """
        before = self._first_answer()
        logged = self._log.stat().st_size if self._log.exists() else 0
        # A request during an earlier reload would be lost; the caller has this amphora's lock, so there is none.
        ask(self._directory, "m.sock", "reload")
        deadline = time.monotonic() + _PATIENCE
        worker = Worker(self._directory)
        while time.monotonic() < deadline:
            try:
                now = self.processes()
                if now.reloads > before.reloads:
                    fresh = [pid for pid in now.workers if pid not in before.workers]
                    if not fresh:
                        raise ReloadFailedError("HAProxy's master kept its old worker.", self._said(logged))
                    if worker.pid() in fresh:
                        self._end_surplus(now.leaving)
                        return
            except RuntimeApiError:
                # The master starts itself anew: its socket is silent for some milliseconds.
                pass
            time.sleep(_PAUSE)
        raise ReloadFailedError(f"HAProxy did not finish its reload within {_PATIENCE:.0f} s.", self._said(logged))

    def _first_answer(self) -> Processes:
        """What the master says, also when its worker was quicker to serve. Raises RuntimeApiError."""
        deadline = time.monotonic() + _STARTING
        while True:
            try:
                return self.processes()
            except RuntimeApiError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def _said(self, since: int) -> str:
        try:
            with self._log.open("rb") as log:
                log.seek(since)
                return telling(log.read().decode(errors="replace"))
        except OSError:
            return ""

    def _end_surplus(self, leaving: tuple[int, ...]) -> None:
        for pid in leaving[: max(0, len(leaving) - self._most_leaving)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
