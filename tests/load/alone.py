"""The data plane without anybody: every service is killed, and then both amphorae of a pair, one after the other.

`python -m tests.load.alone --minutes 10` (`make alone`): ends with 1 when traffic noticed more than a VRRP switch.
"""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from livia.agent.names import Names
from livia.ops.demo import faults
from livia.ops.status import children
from livia.store import trees
from tests.load.site import Site
from tests.load.traffic import Failure
from tests.system.conftest import System, make_system
from tests.system.hosts import has_vip
from tests.waiting import wait_for

#: seconds after the death of a master in which clients may notice: the switch takes 0.4 s on a quiet machine, and a
#: client that pauses finds only then that its connection is gone
SWITCH = 3.0
#: seconds that a dead amphora has to be whole again, with nobody but its own supervisors
_RECOVERY = 30.0
#: seconds of traffic before and after everything
_CALM = 1.5


class Result(Struct, frozen=True, kw_only=True):
    """`deaths`: when a master was killed, and `dark`: since when there was no service, and until when (monotonic)."""

    requests: Counter[str]
    failures: list[Failure]
    deaths: list[float]
    dark: tuple[float, float]
    replaced: bool

    def unexplained(self) -> list[Failure]:
        """What failed and was not on its way when a master died, nor asked soon after that."""
        return [each for each in self.failures if not any(_met(each, death) for death in self.deaths)]

    def text(self) -> str:
        """For people."""
        seconds = self.dark[1] - self.dark[0]
        lines = [
            f"{sum(self.requests.values())} requests in {seconds:.0f} s without any service: {dict(self.requests)}"
        ]
        for death in self.deaths:
            met = Counter(each.traffic for each in self.failures if _met(each, death))
            longest = max((each.at - death for each in self.failures if _met(each, death)), default=0.0)
            lines.append(
                f"a master died after {death - self.dark[0]:.0f} s: {dict(met)} failed, the last {longest:.2f} s later"
            )
        lines += [f"UNEXPLAINED {each.traffic} at {each.begin:.3f}: {each.reason}" for each in self.unexplained()]
        return "\n".join([*lines, *(["an amphora was replaced"] if self.replaced else [])])


def _met(failure: Failure, death: float) -> bool:
    return failure.at >= death and failure.begin <= death + SWITCH


def alone(system: System, seconds: float, told: Callable[[str], None]) -> Result:
    """Run a pair for `seconds` without any service. Raises AssertionError when an amphora does not come back."""
    site = Site(system, "ACTIVE_STANDBY")
    try:
        pair = Pair(system, site)
        wait_for(lambda: len(pair.masters()) == 1, _RECOVERY, "one amphora holds the VIP")
        before, deaths = pair.ids, []
        with site.traffic() as traffic:
            time.sleep(_CALM)
            kill_services(system)
            begin = time.monotonic()
            for third in (1, 2):
                _sleep_until(begin + seconds * third / 3)
                deaths.append(pair.reboot_master())
                told(f"{time.monotonic() - begin:.0f} s: master killed, {len(traffic.failures())} failed so far")
            _sleep_until(begin + seconds)
            end = time.monotonic()
            system.livia.start()
            site.wait()
            time.sleep(_CALM)
        return Result(
            requests=traffic.requests(),
            failures=traffic.failures(),
            deaths=deaths,
            dark=(begin, end),
            replaced=pair.now() != before,
        )
    finally:
        site.close()


class Pair:
    """The two amphorae of the load balancer, seen from outside."""

    def __init__(self, system: System, site: Site) -> None:
        self._system = system
        self._key = site.id("loadbalancers/main")
        self._vip = site.vip
        self._names = Names(system.livia.installation.state.agent_directory)
        self.ids = self.now()

    def now(self) -> set[str]:
        """Their ids in the database."""
        database = self._system.livia.installation.database()
        with database.read() as connection:
            tree = trees.load(connection, self._key)
        database.close()
        assert tree is not None
        return {each.id for each in tree.amphorae}

    def masters(self) -> set[str]:
        """Those that have the VIP on an interface."""
        config = self._system.livia.installation.agent_config()
        return {each for each in self.ids if has_vip(config, each, self._vip)}

    def reboot_master(self) -> float:
        """Kill everything inside of the master at once; it comes back, and its peer is master. When it died."""
        wait_for(lambda: len(self.masters()) == 1, _RECOVERY, "one amphora holds the VIP")
        (master,) = self.masters()
        before = faults.processes(self._names.amphora(master))
        names = sorted(map(_name, before))
        death = time.monotonic()
        for pid in before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.masters() == self.ids - {master}, _RECOVERY, "the peer has the VIP, and it alone")
        wait_for(
            lambda: sorted(map(_name, self._living(master) - set(before))) == names, _RECOVERY, f"{names} run again"
        )
        return death

    def processes(self) -> dict[str, list[int]]:
        """Ids of HAProxy's master and of keepalived's parent in each: no reload changes them."""
        return {each: sorted(pid for pid in self._living(each) if self._first(pid)) for each in sorted(self.ids)}

    def _first(self, pid: int) -> bool:
        return _name(_parent(pid)) == "s6-supervise"

    def _living(self, amphora_id: str) -> set[int]:
        return set(faults.processes(self._names.amphora(amphora_id)))


def kill_services(system: System) -> None:
    """kill -9 of the supervisor and of every service, the agent among them; none has time for a word."""
    process = system.livia.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    pids = list(_below(process.pid))
    assert len(pids) >= 5, pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    system.livia.kill()


def _below(pid: int) -> Iterator[int]:
    for child in children(pid):
        yield child
        yield from _below(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.load.alone", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0, help="how long nobody watches")
    with contextmanager(make_system)() as system:
        result = alone(system, options.parse_args().minutes * 60, lambda text: print(text, flush=True))
    print(result.text())
    return 1 if result.unexplained() or result.replaced else 0


if __name__ == "__main__":
    sys.exit(main())
