"""How much of the machine one amphora's HAProxy uses: its master and the worker that serves (proc(5))."""

import os
import time
from pathlib import Path

from msgspec import Struct

#: seconds that the processor is looked at, at least: scrapes that come closer together are told the same
_LEAST_WINDOW = 1.0
_TICKS = os.sysconf("SC_CLK_TCK")
_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class _Sample(Struct, frozen=True):
    """Seconds of processor time that the processes `of` had used at `when` (seconds since boot)."""

    of: tuple[int, ...]
    when: float
    used: float


class Usage:
    """Of one amphora."""

    def __init__(self) -> None:
        self._sample: _Sample | None = None
        self._percent = 0.0

    def text(self, worker: int) -> bytes:
        """Both gauges; `worker`: the process id of HAProxy's worker. Raises OSError when it is gone.

        Processor: percent of one, which is what HAProxy can use at most, since the last scrape, and since the worker
        began after a reload. Memory: percent of the machine's, where shared pages count by share.
        """
        master, began, used = _process(worker)
        _parent, _began, used_by_master = _process(master)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        sample = _Sample((worker, master), now, used + used_by_master)
        before = self._sample
        if before is None or before.of != sample.of:
            self._percent, self._sample = 100 * used / max(_LEAST_WINDOW, now - began), sample
        elif now - before.when >= _LEAST_WINDOW:
            self._percent, self._sample = 100 * (sample.used - before.used) / (now - before.when), sample
        memory = 100 * (_resident(worker) + _resident(master)) / _MEMORY
        return _gauge(
            "cpu", "Processor time of the load balancer, in percent of one processor.", self._percent
        ) + _gauge("memory", "Memory of the load balancer, in percent of its machine's.", memory)


def _gauge(name: str, about: str, value: float) -> bytes:
    full = f"octavia_loadbalancer_{name}"
    return f"# HELP {full} {about}\n# TYPE {full} gauge\n{full} {value:.1f}\n".encode()


def _process(pid: int) -> tuple[int, float, float]:
    """Its parent, when it began (seconds since boot), and the seconds of processor time that it used."""
    # The name comes second, in parentheses, and may have anything in it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), int(fields[19]) / _TICKS, (int(fields[11]) + int(fields[12])) / _TICKS


def _resident(pid: int) -> int:
    """Bytes of its memory, pages that are shared by share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
