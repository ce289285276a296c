"""Whose turn it is: the most urgent first, and among equals the project that has waited longest for one.

Pure, but for what it remembers. No tenant waits for another's burst, however few threads there are; and one tenant's
load balancers never occupy the last of them. Where an agent does not answer, threads are lost for long: those have
others in their place, and of these, too, no tenant has all. What may be the end of its worker is taken one at a time:
those that are innocent would end with the guilty one every time.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import count

from livia.store.work import Due

#: projects whose last turn is remembered
_MOST = 10_000
_NONE: Mapping[str | None, int] = {}


class Turns:
    """For one worker of so many `threads`."""

    def __init__(self, threads: int) -> None:
        self._each = max(1, threads - 1)
        self._counter = count(1)
        self._last: OrderedDict[str | None, int] = OrderedDict()

    def take(
        self,
        due: Iterable[Due],
        running: Mapping[str | None, int],
        free: int,
        stalled: Mapping[str | None, int] = _NONE,
        *,
        suspected: bool = False,
    ) -> list[Due]:
        """At most `free` of what is due, in order. `due`: each project's own in order of their waiting; `running`: how
        many of each project are under way; `stalled`: how many more are, and have been for long; `suspected`: one that
        may be what ends workers is under way."""
        lanes: dict[int, dict[str | None, deque[Due]]] = defaultdict(lambda: defaultdict(deque))
        for entry in due:
            lanes[entry.priority][entry.project_id].append(entry)
        # As many may be stalled as may run, and cost the project's others nothing; each one more does.
        beyond = {project: max(0, count - self._each) for project, count in stalled.items()}
        occupied = Counter(running) + Counter(beyond)
        taken: list[Due] = []
        for priority in sorted(lanes):
            queues = lanes[priority]
            while len(taken) < free:
                if suspected:
                    _pass_over_suspects(queues.values())
                waiting = [project for project, queue in queues.items() if queue and occupied[project] < self._each]
                if not waiting:
                    break
                project = min(waiting, key=lambda each: self._last.get(each, 0))
                entry = queues[project].popleft()
                taken.append(entry)
                suspected = suspected or entry.suspect
                occupied[project] += 1
                self._had_a_turn(project)
        return taken

    def _had_a_turn(self, project: str | None) -> None:
        self._last[project] = next(self._counter)
        self._last.move_to_end(project)
        if len(self._last) > _MOST:
            self._last.popitem(last=False)


def _pass_over_suspects(queues: Iterable[deque[Due]]) -> None:
    for queue in queues:
        while queue and queue[0].suspect:
            queue.popleft()
