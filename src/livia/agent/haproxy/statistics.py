"""`show stat`, as far as heartbeats need it (management guide, section 9.1)."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from livia.agent.haproxy.runtime import RuntimeApiError
from livia.agent.haproxy.servers import twin_of
from livia.agent.haproxy.wiring import backend_name, backends
from livia.agent.meter import Reading
from livia.agent.probes.watch import Watch
from livia.core.report import PoolReport
from livia.core.spec import Spec

_NAMES = ("# pxname", "svname", "scur", "slim", "stot", "bin", "bout", "ereq", "status")
_FACTS = ("Pid", "Start_time_sec", "Stopping")


class Snapshot(Struct, frozen=True):
    """One worker's answer: who it is, and by name (frontend) or (backend, server) what it counts and thinks.

    `worker`: process id and start time, because process ids come again. `stopping`: it takes no new connections.
    """

    worker: str
    stopping: bool
    readings: dict[str, Reading]
    connections: dict[str, int]
    statuses: dict[tuple[str, str], str]


def parse(text: str) -> Snapshot:
    """The answer to `show info;show stat`. Raises RuntimeApiError when it is none."""
    facts: dict[str, str] = {}
    readings: dict[str, Reading] = {}
    connections: dict[str, int] = {}
    statuses: dict[tuple[str, str], str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        title, _, value = line.partition(": ")
        if title in _FACTS:
            facts[title] = value
        elif line.startswith("# pxname"):
            for proxy, server, scur, slim, stot, rx, tx, ereq, status in _rows(line, lines):
                full = server == "FRONTEND" and status == "OPEN" and 0 < int(slim or 0) <= int(scur)
                # HAProxy calls a frontend open whether or not it takes connections.
                statuses[proxy, server] = "FULL" if full else status
                if server == "FRONTEND":
                    readings[proxy] = Reading(int(tx), int(rx), int(stot), int(ereq or 0))
                    connections[proxy] = int(scur)
    if len(facts) < len(_FACTS):
        raise RuntimeApiError("HAProxy's answer to 'show info' is not whole.")
    worker = f"{facts['Pid']}@{facts['Start_time_sec']}"
    return Snapshot(worker, facts["Stopping"] != "0", readings, connections, statuses)


def _rows(header: str, lines: Iterator[str]) -> Iterator[list[str]]:
    titles = header.split(",")
    columns = [titles.index(name) for name in _NAMES]
    last = max(columns)
    for line in lines:
        # All that is needed stands before any free text.
        fields = line.split(",", last + 1)
        if len(fields) > last:
            yield [fields[column] for column in columns]


def listener_status(status: str) -> Literal["OPEN", "FULL"]:
    """A frontend's status as heartbeats tell it."""
    return "FULL" if status == "FULL" else "OPEN"


def pools(spec: Spec, statuses: dict[tuple[str, str], str], probes: Watch) -> dict[str, PoolReport]:
    """Reports of the pools that listeners use, by `{pool}:{listener}`. Servers that only finish are left out, and
    `probes` knows better of those that HAProxy does not check."""
    reports: dict[str, PoolReport] = {}
    for listener, pool in backends(spec):
        name = backend_name(pool.id, listener.id)
        up = not statuses.get((name, "BACKEND"), "DOWN").startswith("DOWN")
        reports[name] = PoolReport(
            status="UP" if up else "DOWN",
            members={
                member.id: _member(status, probes.text(pool.id, member.id), member.weight)
                for member in pool.members
                if (status := _server(statuses, name, member.id)) is not None
            },
        )
    return reports


def _server(statuses: dict[tuple[str, str], str], backend: str, name: str) -> str | None:
    """The status of a member's server: of its twin, while the one of the member's name comes or goes."""
    own, twin = statuses.get((backend, name)), statuses.get((backend, twin_of(name)))
    return own if twin is None or (own is not None and twin.startswith("MAINT")) else twin


def _member(status: str, probed: str | None, weight: int) -> str:
    """One of the texts of contract 95, section 2.1."""
    if status.startswith("MAINT"):
        return "MAINT"
    if status.startswith("DRAIN") or status == "NOLB":
        return "DRAIN"
    status = probed or status
    # HAProxy calls a server of weight 0 by its health; it takes no new clients all the same.
    if weight == 0 and not status.startswith("DOWN"):
        return "DRAIN"
    return status
