"""Watches the HAProxy processes of an installation: how often they were reloaded, how many old ones there are."""

import time
from pathlib import Path
from threading import Event, Thread

from livia.agent.haproxy.master import Master
from livia.agent.haproxy.runtime import RuntimeApiError

_INTERVAL = 0.1


class Workers(Thread):
    """Looks ten times a second, as a context. `most`: old workers of one amphora at one time; `oldest`: the seconds
    that one of them was seen to live on after the reload that replaced it."""

    def __init__(self, amphorae: Path) -> None:
        super().__init__(daemon=True)
        self._amphorae = amphorae
        self._finished = Event()
        self._reloads: dict[str, tuple[int, int]] = {}
        self._since: dict[tuple[str, int], float] = {}
        self.most = 0
        self.oldest = 0.0

    def __enter__(self) -> "Workers":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._finished.set()
        self.join()

    @property
    def reloads(self) -> int:
        """Reloads of all amphorae, since the watch began."""
        return sum(last - first for first, last in self._reloads.values())

    def run(self) -> None:
        while not self._finished.wait(_INTERVAL):
            for directory in self._amphorae.iterdir():
                self._look(directory)

    def _look(self, directory: Path) -> None:
        try:
            seen = Master(directory).processes()
        except RuntimeApiError:
            # In the middle of a reload the master does not answer.
            return
        now = time.monotonic()
        first, _last = self._reloads.get(directory.name, (seen.reloads, 0))
        self._reloads[directory.name] = first, seen.reloads
        self.most = max(self.most, len(seen.leaving))
        for pid in seen.leaving:
            self.oldest = max(self.oldest, now - self._since.setdefault((directory.name, pid), now))
