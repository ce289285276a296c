"""Servers that stand in for a member whose own server is made anew (see agent.haproxy.servers)."""

from livia.agent.departures import Departures
from livia.agent.haproxy.runtime import Worker, servers_down
from livia.agent.haproxy.server import ids
from livia.agent.haproxy.servers import Command, Departure, Replacement, arrival
from livia.agent.haproxy.wiring import backend_name, backends
from livia.core.spec import ListenerSpec, MemberSpec, PoolSpec, Spec


class Twins:
    """The twins of one amphora."""

    def __init__(self, worker: Worker, departures: Departures) -> None:
        self._worker = worker
        self._departures = departures
        self._twins: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._twins)

    def paths(self) -> dict[str, str]:
        """Members' paths to their twins'."""
        return dict(self._twins)

    def clear(self) -> None:
        """A new worker serves, which never knew them."""
        self._twins.clear()

    def stand_in(self, replacements: tuple[Replacement, ...]) -> None:
        """Let twins take the requests, and let the servers they replace go. Raises RuntimeApiError."""
        down = servers_down(self._worker, {each.path.partition("/")[0] for each in replacements})
        for each in replacements:
            self._make(each.twin, each.arrival, down=each.path in down)
            self._twins[each.path] = each.twin
        if replacements:
            self._departures.begin(tuple(each.departure for each in replacements))

    def return_home(self, spec: Spec) -> None:
        """Where the old server is gone the member's own name serves again. Raises RuntimeApiError."""
        leaving = self._departures.origins()
        ready = {path: twin for path, twin in self._twins.items() if path not in leaving}
        if not ready:
            return
        members = _members(spec)
        down = servers_down(self._worker, {path.partition("/")[0] for path in ready})
        departures = []
        for path, twin in ready.items():
            # Without a member: it was removed meanwhile, and its twin with it.
            if path in members:
                listener, pool, member, number = members[path]
                coming = arrival(path, listener, pool, member, number)
                self._make(path, tuple(coming), down=twin in down)
                departures.append(Departure(twin, member, pool.monitor))
            del self._twins[path]
        self._departures.begin(tuple(departures))

    def _make(self, path: str, commands: tuple[Command, ...], *, down: bool) -> None:
        for command in commands:
            self._worker.expect(command.text, *filter(None, [command.answer]))
        if down:
            # It is up until its first check otherwise.
            self._worker.expect(f"set server {path} health down")


def _members(spec: Spec) -> dict[str, tuple[ListenerSpec, PoolSpec, MemberSpec, int]]:
    found: dict[str, tuple[ListenerSpec, PoolSpec, MemberSpec, int]] = {}
    for listener, pool in backends(spec):
        numbers = ids(pool)
        for member in pool.members:
            path = f"{backend_name(pool.id, listener.id)}/{member.id}"
            found[path] = (listener, pool, member, numbers[member.id])
    return found
