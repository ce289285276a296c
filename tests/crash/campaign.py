"""Rounds of random writes amid random faults; after each of them everything must be as promised."""

import json
import random
import time
from collections.abc import Callable

from msgspec import Struct

from tests.crash.choices import PORTS_EACH
from tests.crash.client import Connection, Diary
from tests.crash.evidence import evidence
from tests.crash.faults import Chaos
from tests.crash.inspection import Inspector
from tests.crash.installation import Machine, NotUpError
from tests.crash.model import World
from tests.crash.writer import Writer

#: client number to its tenant; those of odd numbers make load balancers
_CLIENTS = {1: "tenant-a", 2: "tenant-a", 3: "tenant-b"}
#: seconds within which everything must be as promised
LIMIT = 30.0
#: seconds to settle from which on it is told what took so long
_LONG = 10.0
#: seconds that clients may need for their last answers
_LAST_ANSWERS = 200.0


class Broken(Exception):
    """A promise was not kept; the message tells which, and what went before."""


class Round(Struct, frozen=True, kw_only=True):
    """What one round was. `settled`: seconds from the end of the faults until everything was as promised."""

    seconds: float
    settled: float
    balancers: int


class Campaign:
    """All of it on one machine, from one seed."""

    def __init__(self, machine: Machine, seed: int, told: Callable[[str], None]) -> None:
        self._machine = machine
        self._rng = random.Random(seed)
        self._told = told
        self.diary = Diary()
        self.world = World()
        self.rounds: list[Round] = []
        port = machine.api_port
        self._operator = Connection(port, None, "operator", self.diary)
        self._flavors = [self._flavor(topology) for topology in ("SINGLE", "ACTIVE_STANDBY")]
        ports = [100 * number + offset for number in _CLIENTS for offset in range(PORTS_EACH)]
        self._inspector = Inspector(machine, self.world, self._operator, ports)

    def run(self, seconds: float) -> None:
        """Rounds until the time is over. Raises Broken."""
        end = time.monotonic() + seconds
        while not self.rounds or time.monotonic() + self.rounds[-1].seconds < end:
            left = end - time.monotonic()
            self._round(min(self._rng.uniform(10.0, 30.0), max(5.0, left - 15.0)))
        self._remove_everything()

    def close(self) -> None:
        self._inspector.close()

    def text(self) -> str:
        """For people: what was done."""
        answers = ", ".join(f"{count} {what}" for what, count in sorted(self.diary.answers.items()))
        faults = ", ".join(f"{count} {what}" for what, count in sorted(self.diary.faults.items()))
        compared = ", ".join(f"{count} {what}" for what, count in sorted(self._inspector.traffic.compared.items()))
        settled = [round_.settled for round_ in self.rounds] or [0.0]
        return (
            f"{len(self.rounds)} rounds; answers: {answers}; faults: {faults}; compared: {compared}; "
            f"settled after {sum(settled) / len(settled):.1f} s in the mean, {max(settled):.1f} s at most"
        )

    def _round(self, seconds: float) -> None:
        begun = time.monotonic()
        self.diary.begin_round()
        writers = self._writers()
        chaos = Chaos(self._machine, random.Random(self._rng.random()), self.diary, longest=seconds / 2)
        chaos.start()
        for writer in writers:
            writer.start()
        time.sleep(seconds)
        try:
            chaos.finish()
        except NotUpError as error:
            raise self._broken([f"it does not start any more: {error}"]) from error
        stopped = time.monotonic()
        for writer in writers:
            writer.finish()
        for writer in writers:
            writer.join(_LAST_ANSWERS)
            if writer.error is not None:
                raise self._broken([f"{writer.name}: {writer.error!r}"]) from writer.error
        last, right = self._settle(stopped)
        seconds, settled = time.monotonic() - begun, right - stopped
        self.rounds.append(Round(seconds=seconds, settled=settled, balancers=len(self.world.balancers)))
        self._told(
            f"round {len(self.rounds)}: {seconds:.0f} s, settled {settled:.1f} s after the last fault"
            + (f"; came right last: {last[:300]}" if settled > _LONG else "")
        )

    def _settle(self, stopped: float) -> tuple[str, float]:
        """Wait until nothing is wrong. What was wrong last, and when the look began that found nothing wrong: the look
        itself takes up to half a minute. Raises Broken."""
        told: set[str] = set()
        last = ""
        while True:
            problems, seen = self._inspector.problems()
            if not problems:
                break
            late = seen - stopped
            in_error = self._inspector.in_error()
            fresh = in_error.keys() - told
            told |= fresh
            for key in fresh:
                self._told(f"{key} is in ERROR {late:.1f} s after the last fault: {in_error[key] or 'no reason'}")
            if late > LIMIT:
                raise self._broken([*problems, *(f"{key} is in ERROR: {why}" for key, why in in_error.items())])
            last = problems[0]
            time.sleep(0.25)
        self.world.settled()
        return last, seen

    def _remove_everything(self) -> None:
        """In the end nothing may be left of what was made."""
        for key in list(self.world.balancers):
            self._operator.surely("DELETE", f"/loadbalancers/{key}?cascade=true")
            del self.world.balancers[key]
        self._settle(time.monotonic())

    def _broken(self, problems: list[str]) -> Broken:
        lines = "\n".join(problems[:30])
        return Broken(
            f"{lines}\n-- {self.text()}\n-- faults:\n{self.diary.text(60)}\n-- logs:\n{self._machine.logs(40)}\n"
            f"-- amphorae:\n{evidence(self._machine)}"
        )

    def _writers(self) -> list[Writer]:
        return [
            Writer(
                self.world,
                Connection(self._machine.api_port, project, f"writer-{number}", self.diary),
                self._operator,
                project,
                number,
                self._flavors,
                self._machine.network.subnet_ids,
                self._machine.certificates,
                self._machine.authorities,
                random.Random(self._rng.random()),
            )
            for number, project in _CLIENTS.items()
        ]

    def _flavor(self, topology: str) -> str:
        data = json.dumps({"loadbalancer_topology": topology})
        profile = {"name": topology, "provider_name": "amphora", "flavor_data": data}
        made = self._operator.surely("POST", "/flavorprofiles", {"flavorprofile": profile}).body["flavorprofile"]
        flavor = {"name": topology, "flavor_profile_id": made["id"]}
        found: str = self._operator.surely("POST", "/flavors", {"flavor": flavor}).body["flavor"]["id"]
        return found
