"""Reads what HAProxy's workers count, so that nothing is lost and nothing counted twice.

What is exact, and what can be lost at most:

* A reload loses nothing. A worker that is sent away ends with its last connection, and its last figures with it; so
  the agent keeps a connection to its socket, which keeps the worker, until it has read them.
* A worker that is killed takes with it what it counted since the last look (0.25 s apart, with many amphorae up to
  half a heartbeat interval), and of connections that were open what moved in their last 5 s (`option contstats`).
* While no agent runs workers end unread: of one that was sent away and ends meanwhile, what it counted since it
  was last looked at is lost. The worker that serves loses nothing.
"""

import time
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from msgspec.structs import replace

from livia.agent.disk import AmphoraDirectory
from livia.agent.haproxy.master import Master
from livia.agent.haproxy.runtime import Conversation, RuntimeApiError, Worker
from livia.agent.haproxy.statistics import Snapshot, parse
from livia.agent.meter import Meter, Reading
from livia.core.report import ListenerTotals

_QUESTION = "show info;show stat"
#: seconds for which a listener that is gone is told after it last counted: some of the beats may get lost
_AFTERGLOW = 60.0


class Counting:
    """The counters of one amphora. Safe in several threads: a reading is taken and taken in as one step, so none is
    taken in after its worker was forgotten."""

    def __init__(self, directory: AmphoraDirectory, worker: Worker, master: Master) -> None:
        self._directory = directory
        self._worker = worker
        self._master = master
        self._lock = Lock()
        self._meter = Meter(directory.counters)
        self._finishing: dict[str, Conversation] = {}
        self._told: dict[str, float] = {}
        #: workers that reloads sent away and that had not ended at the last look
        self.old_workers = 0

    def look(self, listeners: Container[str]) -> Snapshot:
        """What the serving worker says now; connections are those of all workers. `listeners`: the amphora's now.

        Raises RuntimeApiError when no worker serves.
        """
        with self._lock:
            seen = parse(self._worker.ask(_QUESTION))
            self._meter.absorb(seen.worker, seen.readings, listeners)
            connections = dict(seen.connections)
            for source in self._meter.workers() - {seen.worker}:
                for name, count in self._read(source, listeners).items():
                    connections[name] = connections.get(name, 0) + count
            self.old_workers = len(self._meter.workers() - {seen.worker})
            return replace(seen, connections=connections)

    def absorb_kernel(self, namespace: int, readings: dict[str, Reading], listeners: Container[str]) -> None:
        """Take in what the packet rules of the amphora's namespace (its inode) have counted of datagrams."""
        with self._lock:
            self._meter.absorb_kernel(namespace, readings, listeners)

    def take(self, listeners: Iterable[str]) -> tuple[dict[str, ListenerTotals], dict[str, Reading]]:
        """Totals of the listeners, and of those that are gone but counted a short while ago; and what was added
        since the last call."""
        now = time.monotonic()
        with self._lock:
            self._told |= dict.fromkeys(self._meter.untold(), now)
            self._told = {name: at for name, at in self._told.items() if now - at < _AFTERGLOW}
            return self._meter.take(dict.fromkeys((*listeners, *self._told)))

    @contextmanager
    def across_reload(self, listeners: Container[str]) -> Iterator[None]:
        """Within it the serving worker may be replaced. Raises RuntimeApiError when none serves."""
        with self._lock:
            conversation = Conversation(self._directory.path)
            try:
                leaving = _reading(conversation)
            except RuntimeApiError:
                conversation.close()
                raise
            # Twice in a row without a worker in between: a reload that failed.
            self._release(leaving.worker)
            self._finishing[leaving.worker] = conversation
            self._meter.absorb(leaving.worker, leaving.readings, listeners)
            self._meter.save()
        try:
            yield
        except BaseException:
            with self._lock:
                # It goes on serving, or it ended: either way there is nothing to wait for.
                self._release(leaving.worker)
            raise
        with self._lock:
            self._read(leaving.worker, listeners)

    def close(self) -> None:
        """Let workers that only finish go on by themselves."""
        with self._lock:
            for source in list(self._finishing):
                self._release(source)

    def _release(self, source: str) -> None:
        conversation = self._finishing.pop(source, None)
        if conversation is not None:
            conversation.close()

    def _read(self, source: str, listeners: Container[str]) -> dict[str, int]:
        """Take in what a worker that does not serve has counted; returns its open connections by listener."""
        conversation = self._finishing.get(source)
        try:
            seen = _reading(conversation) if conversation is not None else self._ask_stranger(source)
        except RuntimeApiError:
            # Killed, or the master starts anew and the next look tells.
            if conversation is not None:
                self._release(source)
                self._meter.forget(source)
            return {}
        if seen is None:
            self._meter.forget(source)
            return {}
        self._meter.absorb(source, seen.readings, listeners)
        ended = seen.stopping and not any(seen.connections.values())
        # What it counted was taken off its listeners; before it is let go, that is on disk.
        if ended and conversation is not None and self._meter.finish(source):
            self._release(source)
        return seen.connections

    def _ask_stranger(self, source: str) -> Snapshot | None:
        """A worker that an earlier agent sent away, or one that died; None when it is gone. Raises RuntimeApiError."""
        pid = int(source.partition("@")[0])
        if pid not in self._master.processes().leaving:
            return None
        seen = parse(self._master.ask_worker(pid, _QUESTION))
        # Another worker may have its number now.
        return seen if seen.worker == source else None


def _reading(conversation: Conversation) -> Snapshot:
    # With a prompt each command has an answer of its own, even on one line.
    return parse("\n".join(conversation.ask(command) for command in _QUESTION.split(";")))
