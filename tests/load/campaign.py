"""Changes everything, over and over, under constant traffic, and tells what the traffic noticed."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from msgspec import Struct

from livia.agent.names import Names
from livia.ops.demo import faults
from livia.ops.demo.api import ApiError
from tests.load.changes import Change, changes
from tests.load.site import Site
from tests.load.traffic import Failure, Traffic
from tests.load.workers import Workers
from tests.system.conftest import System

#: changes that are made at once in a burst
_BURST = 5
#: seconds of traffic before the first change and after the last one
_CALM = 1.5
#: seconds after the begin of a request in which a change may have met it
_JUST_AFTER = 0.05


class Result(Struct, frozen=True, kw_only=True):
    """What a campaign did and saw. `changes`: requests to the API by kind of change; `disturbed`: each failure with
    what was being changed. `oldest` in seconds."""

    rounds: int
    seconds: float
    changes: Counter[str]
    requests: Counter[str]
    connections: Counter[str]
    disturbed: list[tuple[Failure, str]]
    reloads: int
    most_old_workers: int
    oldest: float

    def text(self) -> str:
        """For people."""
        lines = [f"{count:6} {kind}" for kind, count in sorted(self.changes.items())]
        failures = Counter(failure.traffic for failure, _what in self.disturbed)
        lines += [
            f"{kind:9} {count:8} requests over {self.connections[kind]:6} connections, {failures[kind]} failed"
            for kind, count in sorted(self.requests.items())
        ]
        lines += [_noticed(each, what) for each, what in self.disturbed]
        total = sum(self.changes.values())
        lines.append(f"{self.rounds} rounds, {total} changes of {len(self.changes)} kinds in {self.seconds:.0f} s")
        lines.append(
            f"{self.reloads} reloads; at most {self.most_old_workers} old workers at one time, "
            f"seen for at most {self.oldest:.0f} s"
        )
        return "\n".join(lines)


class Campaign:
    """Rounds of changes by their numbers. Odd ones make five at a time, of different objects."""

    def __init__(self, site: Site, told: Callable[[str], None]) -> None:
        self._site = site
        self._told = told
        self._made: Counter[str] = Counter()
        #: (begin, what): what goes on from then on
        self._diary: list[tuple[float, str]] = []
        self._told_failures = 0

    def run(self, rounds: Sequence[int]) -> Result:
        """All of it. Raises ApiError when a change is refused or does not arrive."""
        begun = time.monotonic()
        amphorae = self._site.system.livia.installation.state.agent_directory / "amphorae"
        with self._site.traffic() as traffic, Workers(amphorae) as workers:
            self._rest("the time before")
            for number in rounds:
                self._round(number)
                self._tell(number, traffic, workers)
            self._rest("the time after")
        return Result(
            rounds=len(rounds),
            seconds=time.monotonic() - begun,
            changes=self._made,
            requests=traffic.requests(),
            connections=traffic.connections(),
            disturbed=[(each, self._during(each.begin)) for each in traffic.failures()],
            reloads=workers.reloads,
            most_old_workers=workers.most,
            oldest=workers.oldest,
        )

    def _round(self, number: int) -> None:
        wanted = changes()
        # The order is another one each time, and the same one whenever a round is looked at again.
        random.Random(number).shuffle(wanted)
        if number % 2:
            for burst in bursts(wanted):
                self._make(burst)
        else:
            for change in wanted:
                self._make([change])

    def _make(self, together: Sequence[Change]) -> None:
        for index in range(max(len(change.steps) for change in together)):
            steps = [(change, change.steps[index]) for change in together if index < len(change.steps)]
            what = ", ".join(f"{change.kind} of {change.target} ({index})" for change, _step in steps)
            self._diary.append((time.monotonic(), what))
            try:
                for change, step in steps:
                    step(self._site)
                    self._made[change.kind] += 1
                for name in ("main", "idle"):
                    self._site.wait(name)
            except ApiError as error:
                raise ApiError(f"{what}: {error}", error.status) from error

    def _rest(self, what: str) -> None:
        self._diary.append((time.monotonic(), what))
        time.sleep(_CALM)

    def _during(self, moment: float) -> str:
        """What was going on, and what began at once after that."""
        before = [what for begin, what in self._diary if begin <= moment]
        after = [what for begin, what in self._diary if moment < begin < moment + _JUST_AFTER]
        return " then ".join([*before[-1:], *after])

    def _tell(self, number: int, traffic: Traffic, workers: Workers) -> None:
        failures = traffic.failures()
        for each in failures[self._told_failures :]:
            self._told(_noticed(each, self._during(each.begin)))
        self._told_failures = len(failures)
        self._told(
            f"round {number + 1}: {sum(self._made.values())} changes, {sum(traffic.requests().values())} requests, "
            f"{len(failures)} failed, {workers.reloads} reloads"
        )


def _noticed(failure: Failure, what: str) -> str:
    return f"FAILED {failure.traffic} during {what}: {failure.reason}"


def bursts(wanted: Sequence[Change]) -> list[list[Change]]:
    """The same changes, up to five at a time, of which no two are about the same part of the load balancer."""
    rooms: dict[str, list[Change]] = defaultdict(list)
    for change in wanted:
        rooms[change.target.split("/")[1]].append(change)
    found = []
    while any(rooms.values()):
        fullest = sorted(rooms, key=lambda room: len(rooms[room]), reverse=True)[:_BURST]
        found.append([rooms[room].pop() for room in fullest if rooms[room]])
    return found


def campaign(system: System, topology: str, rounds: Sequence[int], told: Callable[[str], None]) -> Result:
    """A campaign on a load balancer of its own, which is gone afterwards. `rounds`: as of `Campaign`.

    Raises ApiError; AssertionError when it leaves namespaces."""
    prefix = Names(system.livia.installation.state.agent_directory).prefix
    site = Site(system, topology)
    try:
        result = Campaign(site, told).run(rounds)
        for name in ("main", "idle"):
            path = site.paths[f"loadbalancers/{name}"]
            site.api.delete(f"{path}?cascade=true")
            site.api.wait_gone(path.rpartition("/")[2])
    finally:
        site.close()
    # The fabric stays for as long as there are networks.
    left = {name for name in faults.namespaces(prefix) if not name.endswith("-fabric")}
    assert left == set(), left
    return result
