"""The text of HAProxy's exporter in the names of contract 95, section 4.3 (Prometheus text format 0.0.4)."""

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from livia.agent.haproxy.servers import twin_of
from livia.agent.haproxy.wiring import backend_name, backends, streams
from livia.agent.prometheus.names import METRICS, Labels, Metric
from livia.core.spec import Spec

#: a sample's own labels, which come first, and the rest of its line
_SAMPLES = {
    Labels.PROCESS: re.compile(rb"\w+()(.*)", re.DOTALL),
    Labels.LISTENER: re.compile(rb'\w+\{(proxy="[^"]*")(.*)', re.DOTALL),
    Labels.POOL: re.compile(rb'\w+\{(proxy="[^"]*")(.*)', re.DOTALL),
    Labels.MEMBER: re.compile(rb'\w+\{(proxy="[^"]*",server="[^"]*")(.*)', re.DOTALL),
}


class Exposed(Struct, frozen=True):
    """What is shown of one amphora: HAProxy's labels to ours. All else that HAProxy has is not the tenant's."""

    labels: Mapping[Labels, Mapping[bytes, bytes]]


def exposed(spec: Spec, twins: Mapping[str, str]) -> Exposed:
    """What a spec's tenant sees. `twins`: paths of members to those of the servers that stand in for them now; of the
    two only that one is shown, as the member, because nothing may be told twice."""
    members: dict[bytes, bytes] = {}
    pools: dict[bytes, bytes] = {}
    for listener, pool in backends(spec):
        backend = backend_name(pool.id, listener.id)
        pools[f'proxy="{backend}"'.encode()] = f'{{pool="{backend}"'.encode()
        for member in pool.members:
            server = twin_of(member.id) if f"{backend}/{member.id}" in twins else member.id
            members[f'proxy="{backend}",server="{server}"'.encode()] = (
                f'{{pool="{backend}",member="{member.id}"'.encode()
            )
    return Exposed(
        {
            Labels.PROCESS: {b"": b""},
            Labels.LISTENER: {
                f'proxy="{listener.id}"'.encode(): f'{{listener="{listener.id}"'.encode() for listener in streams(spec)
            },
            Labels.POOL: pools,
            Labels.MEMBER: members,
        }
    )


class Translation:
    """One scrape, piece by piece: it is never whole in memory."""

    def __init__(self, shown: Exposed) -> None:
        self._shown = shown
        self._metric: Metric | None = None
        self._head: list[bytes] = []
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What a further piece of HAProxy's text says, up to its last whole line."""
        text = self._rest + piece
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        return self._lines(text[:end])

    def _lines(self, text: bytes) -> bytes:
        result: list[bytes] = []
        position = 0
        while position < len(text):
            if text.startswith(b"#", position):
                end = text.index(b"\n", position) + 1
                self._title(text[position:end])
            else:
                # A metric's samples come together: all of them are shown under one name, or skipped at once.
                end = text.find(b"\n#", position) + 1 or len(text)
                if self._metric is not None:
                    result += self._samples(self._metric, text[position:end].splitlines(keepends=True))
            position = end
        return b"".join(result)

    def _title(self, line: bytes) -> None:
        """`# HELP name text` begins a metric, `# TYPE name type` follows."""
        _mark, keyword, name, text = line.split(b" ", 3)
        self._metric = METRICS.get(name.decode())
        if keyword == b"HELP":
            self._head.clear()
        if self._metric is not None:
            self._head.append(b" ".join((b"#", keyword, self._metric.name.encode(), text)))

    def _samples(self, metric: Metric, lines: Iterable[bytes]) -> list[bytes]:
        name, labels, pattern = metric.name.encode(), self._shown.labels[metric.labels], _SAMPLES[metric.labels]
        found: list[bytes] = []
        for line in lines:
            match = pattern.fullmatch(line)
            own = labels.get(match[1]) if match else None
            if match is not None and own is not None:
                found += (name, own, match[2])
        if found and self._head:
            # Of a metric without samples nothing is said.
            found = [*self._head, *found]
            self._head.clear()
        return found
