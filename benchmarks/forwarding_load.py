"""Requests by wrk for one slice: as many as go through, or at a rate. What it saw of each comes from its own script."""

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

CLIENTS = 32
#: of a slice; wrk takes whole seconds
_SECONDS = 1
#: Prints one JSON object, latencies in microseconds with how often each was seen (wrk, SCRIPTING).
_REPORT = """\
function done(summary, latency)
  local seen, e = {}, summary.errors
  for i = 1, #latency do
    local value, count = latency(i)
    seen[i] = string.format("[%d,%d]", tonumber(value), tonumber(count))
  end
  io.write(string.format('\\n{"requests":%d,"duration":%d,"failed":%d,"latencies":[%s]}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout, table.concat(seen, ",")))
end
"""
#: Each connection waits before each request: any number of milliseconds with the same mean, so that requests come
#: at random moments, some at once. Before its first it waits until all connections have had their handshakes.
_PACE = """\
local calls = 0
function delay()
  calls = calls + 1
  return math.random(0, {longest}) + (calls > {clients} and 0 or {settled})
end
"""
#: milliseconds in which all connections are there
_SETTLED = 150


class Slice(Struct, frozen=True):
    """What wrk saw in one slice. `duration` in microseconds, `latencies` as pairs of microseconds and how often."""

    requests: int
    duration: int
    failed: int
    latencies: tuple[tuple[int, int], ...]

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests * 1e6 / self.duration

    @property
    def p99(self) -> int:
        """Microseconds."""
        return p99([self])


def p99(slices: Iterable[Slice]) -> int:
    """Of all requests of these slices: the microseconds that 99 % of them took at most."""
    seen: Counter[int] = Counter()
    for each in slices:
        for latency, count in each.latencies:
            seen[latency] += count
    left = seen.total() // 100
    for latency in sorted(seen, reverse=True):
        left -= seen[latency]
        if left < 0:
            return latency
    raise AssertionError("no request was answered")


def saturate(url: str) -> Slice:
    """Each client asks as soon as it is answered."""
    return _wrk(url, _REPORT)


def pace(url: str, rate: float) -> Slice:
    """About this many requests per second, as long as answers take little of the time between a client's requests.

    Latencies begin when a request is sent. A stall of the far side is no less seen than at any other rate: the
    clients that it does not hold yet go on asking.
    """
    longest = round(2 * 1000 * CLIENTS / rate)
    return _wrk(url, _REPORT + _PACE.format(longest=longest, clients=CLIENTS, settled=_SETTLED))


def _wrk(url: str, script: str) -> Slice:
    with tempfile.TemporaryDirectory(prefix="lv-") as directory:
        path = Path(directory) / "slice.lua"
        path.write_text(script)
        command = ["wrk", "--threads", "1", "--connections", str(CLIENTS), "--duration", f"{_SECONDS}s"]
        # In a session of its own, as everybody else here: the kernel shares cores out among sessions first
        # (sched(7), autogroup).
        said = subprocess.run(
            [*command, "--script", path, url], check=True, capture_output=True, text=True, start_new_session=True
        ).stdout
    seen = json.loads(said.splitlines()[-1])
    return Slice(seen["requests"], seen["duration"], seen["failed"], tuple(map(tuple, seen["latencies"])))
