"""Faults that begin and end: what kills, stops, cuts, delays, fills, locks and shifts."""

import random
import signal
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from threading import Event, Thread

from livia.agent.names import Names
from livia.ops.demo import faults as of_amphorae
from tests.crash.client import Diary
from tests.crash.databases import LockError, Release
from tests.crash.installation import SERVICES, Machine, NotUpError, send
from tests.crash.links import Mode


class Fault(ABC):
    """One fault. `seconds`: how long it lasts, if it does; `end` undoes it then."""

    def __init__(self, machine: Machine, rng: random.Random, seconds: float) -> None:
        self.machine = machine
        self.rng = rng
        self.seconds = seconds

    @abstractmethod
    def begin(self) -> str:
        """Do it; what was done, in words."""

    def end(self) -> None:
        """Undo it. Most leave nothing to undo."""
        return


class Kill(Fault):
    """kill -9 of a service, of all its processes or of one."""

    def begin(self) -> str:
        service = self.rng.choice(SERVICES)
        pids = self.machine.pids(service)
        chosen = pids if self.rng.random() < 0.6 else pids[-1:]
        for pid in chosen:
            send(pid, signal.SIGKILL)
        return f"kill -9 {service} {chosen}"


class Restart(Fault):
    """A service is asked to end; it is started again."""

    def begin(self) -> str:
        service = self.rng.choice(SERVICES)
        pids = self.machine.pids(service)[:1]
        for pid in pids:
            send(pid, signal.SIGTERM)
        return f"SIGTERM {service} {pids}"


class Pause(Fault):
    """A service is stopped, and goes on later."""

    def begin(self) -> str:
        service = self.rng.choice((*SERVICES, "supervisor"))
        self._pids = self.machine.pids(service)
        for pid in self._pids:
            send(pid, signal.SIGSTOP)
        return f"SIGSTOP {service} {self._pids} for {self.seconds:.1f} s"

    def end(self) -> None:
        for pid in self._pids:
            send(pid, signal.SIGCONT)


class Outage(Fault):
    """All of Livia is killed, and started again after a while."""

    def begin(self) -> str:
        with_children = self.rng.random() < 0.5
        self.machine.kill(children_too=with_children)
        who = "everything" if with_children else "the supervisor"
        return f"kill -9 {who}, started again after {self.seconds:.1f} s"

    def end(self) -> None:
        # What else is broken may keep it from starting: the end of the round is when it must.
        with suppress(NotUpError):
            self.machine.start()


class Reboot(Outage):
    """The machine is switched off and on: no process and nothing in the kernel is left."""

    def begin(self) -> str:
        self.machine.reboot()
        return f"reboot, started again after {self.seconds:.1f} s"


class Cut(Fault):
    """A link is cut."""

    def begin(self) -> str:
        self._link = self.rng.choice(list(self.machine.links.values()))
        mode = self.rng.choice((Mode.REFUSING, Mode.SILENT))
        self.machine.loop.call(lambda: self._link.cut(mode))
        return f"the link {self._link.name} is {mode} for {self.seconds:.1f} s"

    def end(self) -> None:
        self.machine.loop.call(self._link.mend)


class Delay(Fault):
    """A link is slow."""

    def begin(self) -> str:
        self._link = self.rng.choice(list(self.machine.links.values()))
        # A transaction goes to and fro a dozen times.
        self._link.delay = self.rng.uniform(0.05, 0.3 if self._link.name == "database" else 2.0)
        return f"the link {self._link.name} takes {self._link.delay:.2f} s longer for {self.seconds:.1f} s"

    def end(self) -> None:
        self.machine.loop.call(self._link.mend)


class FullDisk(Fault):
    """Nothing more can be written to the state directory."""

    def begin(self) -> str:
        self.machine.fill_disk()
        return f"the disk is full for {self.seconds:.1f} s"

    def end(self) -> None:
        self.machine.empty_disk()


class LockedDatabase(Fault):
    """Somebody else holds the database's write lock."""

    def begin(self) -> str:
        try:
            self._release: Release | None = self.machine.lock_database()
        except LockError as error:
            self._release = None
            return f"the database could not be locked: {error}"
        return f"the database is locked for {self.seconds:.1f} s"

    def end(self) -> None:
        if self._release is not None:
            self._release()


class SlowDatabase(Fault):
    """Somebody else holds the write lock most of the time."""

    def begin(self) -> str:
        self._finished = Event()
        self._thread = Thread(target=self._hold, name="slow-database", daemon=True)
        self._thread.start()
        return f"the database is slow for {self.seconds:.1f} s"

    def _hold(self) -> None:
        while not self._finished.wait(0.02):
            with suppress(LockError):
                release = self.machine.lock_database()
                self._finished.wait(self.rng.uniform(0.1, 0.7))
                release()

    def end(self) -> None:
        self._finished.set()
        self._thread.join()


class ClockJump(Fault):
    """The clock is set to another time, for good."""

    _OFFSETS = (-86400, -3600, -300, -5, 0, 5, 300, 3600, 86400)

    def begin(self) -> str:
        before = self.machine.offset
        self.machine.set_clock(self.rng.choice(self._OFFSETS))
        return f"the clock jumps by {self.machine.offset - before} s, to {self.machine.offset} s"


class AmphoraFault(Fault):
    """HAProxy of an amphora is killed, or all of an amphora vanishes."""

    def begin(self) -> str:
        config = self.machine.installation.agent_config()
        names = Names(config.state_directory)
        present = sorted(of_amphorae.namespaces(names.prefix) - {names.fabric})
        if not present:
            return "no amphora to break"
        amphora_id = self.rng.choice(present).removeprefix(f"{names.prefix}-")
        if self.rng.random() < 0.5:
            of_amphorae.kill_haproxy(config, amphora_id)
            return f"kill -9 HAProxy of {amphora_id}"
        of_amphorae.destroy(config, amphora_id)
        return f"amphora {amphora_id} vanishes"


#: how often, of what kind, and of which databases (None: of all)
KINDS: tuple[tuple[int, type[Fault]], ...] = (
    (8, Kill),
    (3, Restart),
    (5, Pause),
    (2, Outage),
    (1, Reboot),
    (4, Cut),
    (3, Delay),
    (2, FullDisk),
    (2, LockedDatabase),
    (2, SlowDatabase),
    (2, ClockJump),
    (2, AmphoraFault),
)
_AT_ONCE = 3


class Chaos:
    """Begins faults and ends them, until told to stop; then none is left."""

    def __init__(self, machine: Machine, rng: random.Random, diary: Diary, longest: float) -> None:
        self._thread = Thread(target=self._run, name="chaos", daemon=True)
        self._machine = machine
        self._rng = rng
        self._diary = diary
        self._longest = longest
        self._stop = Event()
        self._lasting: list[tuple[float, Fault]] = []
        self.error: Exception | None = None

    def start(self) -> None:
        """Break things from now on."""
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._rng.uniform(0.3, 2.0)):
                self._end(time.monotonic())
                if len(self._lasting) < _AT_ONCE:
                    self._begin()
        except Exception as error:
            self.error = error
        finally:
            self._end(float("inf"))

    def finish(self) -> None:
        """End every fault, and wait until Livia runs again. Raises NotUpError."""
        self._stop.set()
        self._thread.join()
        self._machine.start()
        self._diary.fault("FAULTS END")
        if self.error is not None:
            raise self.error

    def _begin(self) -> None:
        weights, kinds = zip(*KINDS, strict=True)
        kind = self._rng.choices(kinds, weights)[0]
        if any(isinstance(fault, kind) for _until, fault in self._lasting):
            return
        if not self._machine.running() and kind in (Outage, Reboot):
            return
        seconds = self._rng.uniform(0.5, self._longest)
        fault = kind(self._machine, self._rng, seconds)
        self._diary.fault(f"FAULT {fault.begin()}")
        self._diary.faults[kind.__name__] += 1
        self._lasting.append((time.monotonic() + seconds, fault))

    def _end(self, now: float) -> None:
        due = [entry for entry in self._lasting if entry[0] <= now]
        # A start is tried when whatever else is over is over.
        due.sort(key=lambda entry: isinstance(entry[1], Outage))
        for entry in due:
            self._lasting.remove(entry)
            entry[1].end()
            self._diary.fault(f"ends: {type(entry[1]).__name__}")
