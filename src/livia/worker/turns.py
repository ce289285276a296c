"""Whose turn it is: the most urgent first, and among equals the project that has waited longest for one.

Pure, but for what it remembers. No tenant waits for another's burst, however few threads there are; and one tenant's
load balancers never occupy the last of them, so that a tenant whose agents do not answer holds up nobody else.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import count

from livia.store.work import Due

#: projects whose last turn is remembered
_MOST = 10_000


class Turns:
    """For one worker of so many `threads`."""

    def __init__(self, threads: int) -> None:
        self._each = max(1, threads - 1)
        self._counter = count(1)
        self._last: OrderedDict[str | None, int] = OrderedDict()

    def take(self, due: Iterable[Due], running: Mapping[str | None, int], free: int) -> list[Due]:
        """At most `free` of what is due, in order. `due`: each project's own in order of their waiting; `running`:
        how many of each project are under way."""
        lanes: dict[int, dict[str | None, deque[Due]]] = defaultdict(lambda: defaultdict(deque))
        for entry in due:
            lanes[entry.priority][entry.project_id].append(entry)
        occupied = defaultdict(int, running)
        taken: list[Due] = []
        for priority in sorted(lanes):
            queues = lanes[priority]
            while len(taken) < free:
                waiting = [project for project, queue in queues.items() if queue and occupied[project] < self._each]
                if not waiting:
                    break
                project = min(waiting, key=lambda each: self._last.get(each, 0))
                taken.append(queues[project].popleft())
                occupied[project] += 1
                self._had_a_turn(project)
        return taken

    def _had_a_turn(self, project: str | None) -> None:
        self._last[project] = next(self._counter)
        self._last.move_to_end(project)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)
