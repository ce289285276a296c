"""The verdicts on one amphora's members."""

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import TypeAlias

import msgspec
import structlog

from livia.agent import disk
from livia.agent.errors import PlumbingError
from livia.agent.probes.health import Health
from livia.agent.probes.target import MemberKey, Place, places
from livia.core.spec import MonitorSpec, Spec

log = structlog.get_logger()

#: told which members' verdicts changed
OnChange: TypeAlias = Callable[[frozenset[MemberKey]], None]
_Dead: TypeAlias = frozenset[tuple[MemberKey, Place]]

_decoder = msgspec.json.Decoder(list[tuple[MemberKey, Place]])


class Target:
    """One member that is checked. Only its prober writes to it."""

    __slots__ = ("due", "health", "key", "monitor", "place", "started", "steady", "watch")

    def __init__(self, watch: "Watch", key: MemberKey, place: Place, monitor: MonitorSpec) -> None:
        self.watch = watch
        self.key = key
        self.place = place
        self.monitor = monitor
        self.health = Health(monitor.rise, monitor.fall)
        #: monotonic seconds of what comes next: a check, or the end of its timeout
        self.due = 0.0
        #: when the check began that has no answer yet
        self.started: float | None = None
        #: whether its checks are `delay` apart by now: the second one comes earlier, by chance
        self.steady = False


class Watch:
    """All members of one amphora that its agent checks.

    `up`, `text` and `dead` may be asked from any thread. `on_change` is called with the (pool id, member id)s whose
    verdict changed, several at once when they come together, from a thread of the prober that holds no lock: it may
    take the amphora's. Whoever is told asks `up` then: only the verdict of that moment counts. What `on_change` raises
    is logged and counted, and not tried again. Verdicts outlive the agent in the file `memory`.
    """

    def __init__(self, namespace: str, memory: Path, on_change: OnChange) -> None:
        self.namespace = namespace
        self._memory = memory
        self._on_change = on_change
        self._lock = Lock()
        self._changed: set[MemberKey] = set()
        self._targets: dict[MemberKey, Target] = {}
        #: who was down when the file was last written or read; None: there is no file
        self._written: _Dead | None = None

    # -- for whoever sends traffic -------------------------------------------------------------------------------

    def up(self, pool_id: str, member_id: str) -> bool:
        """Whether the member may get traffic; True for one that is not checked by the agent."""
        target = self._targets.get((pool_id, member_id))
        return target is None or target.health.up

    def text(self, pool_id: str, member_id: str) -> str | None:
        """The member in the words of contract 95, section 2.1: `UP`, `DOWN 1/2`, ...; None when it is not checked."""
        target = self._targets.get((pool_id, member_id))
        return None if target is None else target.health.text()

    def dead(self) -> frozenset[MemberKey]:
        """Every member that is down."""
        return frozenset(key for key, target in self._targets.items() if not target.health.up)

    # -- for the prober, which holds its lock --------------------------------------------------------------------

    def recall(self) -> None:
        """Read what an earlier agent knew, before the first spec."""
        try:
            rows = _decoder.decode(self._memory.read_bytes())
        except FileNotFoundError:
            return
        except msgspec.DecodeError as error:
            log.warning("verdicts of an earlier agent cannot be read", file=str(self._memory), reason=str(error))
            return
        self._written = frozenset(rows)

    def follow(self, spec: Spec) -> tuple[list[Target], list[Target]]:
        """Take over a spec; returns the targets that are new and those that are gone. Verdicts on a place that stays
        are kept."""
        before, fresh = self._targets, list[Target]()
        # The first spec after a start: whoever was checked before is known.
        known = self._written if not before else None
        now: dict[MemberKey, Target] = {}
        for key, place, monitor in places(spec):
            target = before.get(key)
            if target is not None and target.place == place:
                target.monitor = monitor
                target.health.tune(monitor.rise, monitor.fall)
            else:
                target = Target(self, key, place, monitor)
                if known is not None:
                    target.health.settle(up=(key, place) not in known)
                fresh.append(target)
            now[key] = target
        self._targets = now
        gone = [target for key, target in before.items() if now.get(key) is not target]
        self.note(target.key for target in gone if not target.health.up)
        return fresh, gone

    def targets(self) -> Iterable[Target]:
        """All that is checked."""
        return self._targets.values()

    def note(self, keys: Iterable[MemberKey]) -> None:
        """The verdicts on these changed."""
        with self._lock:
            self._changed.update(keys)

    # -- for the thread that tells -------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Keep the verdicts, and tell those that changed."""
        with self._lock:
            changed = frozenset(self._changed)
            self._changed.clear()
            targets = self._targets
            dead = frozenset((key, target.place) for key, target in targets.items() if not target.health.up)
            if targets and dead != self._written:
                self._keep(dead)
            elif not targets and self._written is not None:
                self._memory.unlink(missing_ok=True)
                self._written = None
        if changed:
            self._on_change(changed)

    def _keep(self, dead: _Dead) -> None:
        """Remember who is down for the next agent. On a full disk traffic follows the verdicts all the same."""
        try:
            disk.write(self._memory, msgspec.json.encode(sorted(dead)), durable=False)
        except PlumbingError as error:
            log.warning("verdicts are not kept for the next agent", reason=error.message)
        else:
            self._written = dead
