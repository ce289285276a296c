"""All amphorae of one agent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import msgspec
import structlog

from livia.agent.amphora import Amphora
from livia.agent.errors import InvalidSpecError, PlumbingError, RefusalError, RemovedError, StaleFenceError
from livia.agent.host import Host
from livia.agent.names import checked_id
from livia.agent.remains import remains
from livia.core.report import Applied, Held
from livia.core.spec import Assignment

log = structlog.get_logger()

#: fences of removed amphorae that are remembered, so that no late PUT brings one back
_MOST_TOMBS = 10000
#: amphorae that are taken over at the same time at start
_HANDS = 8


class Registry:
    """Finds an amphora by its id. `on_change` is told the id of one that was just changed, `on_removal` of one that
    is about to be removed."""

    def __init__(self, host: Host, on_change: Callable[[str], None], on_removal: Callable[[Amphora], None]) -> None:
        self._host = host
        self._on_change = on_change
        self._on_removal = on_removal
        self._lock = Lock()
        self._amphorae: dict[str, Amphora] = {}
        self._tombs: dict[str, int] = {}

    def open(self) -> None:
        """Take over what an earlier agent left, and start the supervision tree."""
        ids = sorted(path.name for path in self._host.amphorae_directory.iterdir() if path.is_dir())
        with ThreadPoolExecutor(_HANDS) as hands:
            found = [Amphora(self._host, amphora_id) for amphora_id in ids]
            list(hands.map(_prepared, found))
            self._host.supervisor.open()
            list(hands.map(self._adopted, found))
        self._amphorae = {amphora.id: amphora for amphora in found if not amphora.gone}
        self._count()

    def apply(self, amphora_id: str, assignment: Assignment) -> Applied:
        """Make an amphora what the assignment says. Raises RefusalError."""
        checked_id(amphora_id, "amphora id")
        if assignment.spec.amphora_id != amphora_id:
            raise InvalidSpecError(f"The spec is for amphora {assignment.spec.amphora_id[:80]!r}, not {amphora_id}.")
        while True:
            amphora = self._get_or_add(amphora_id, assignment.fence)
            with amphora.lock:
                if amphora.gone:
                    continue
                try:
                    applied = _applied(amphora, assignment)
                except RefusalError as error:
                    self._host.metrics.applies.labels(outcome=error.code).inc()
                    if amphora.record is None:
                        self._drop(amphora)
                    raise
            break
        self._host.metrics.applies.labels(outcome="applied").inc()
        self._on_change(amphora_id)
        return applied

    def observe(self, amphora_id: str) -> Applied | None:
        """How an amphora is now; None when there is no such."""
        amphora = self.get(amphora_id)
        record = amphora.record if amphora is not None else None
        return amphora.observe(record) if amphora is not None and record is not None else None

    def remove(self, amphora_id: str, fence: int) -> None:
        """Leave nothing of an amphora, whether or not it is there. Raises StaleFenceError, InvalidSpecError."""
        checked_id(amphora_id, "amphora id")
        amphora = self.get(amphora_id)
        if amphora is None and amphora_id in remains(self._host):
            # Nobody can begin to build one of this name meanwhile.
            amphora = self._get_or_add(amphora_id, fence, removal=True)
        if amphora is None:
            self._bury(amphora_id, fence)
            return
        with amphora.lock:
            if not amphora.gone:
                amphora.remove(fence, self._on_removal)
                # Before a change that waits for the lock can find that there is none of this name.
                self._bury(amphora_id, fence)
                self._drop(amphora)

    def get(self, amphora_id: str) -> Amphora | None:
        """The amphora of this id."""
        with self._lock:
            return self._amphorae.get(amphora_id)

    def all(self) -> list[Amphora]:
        """Every amphora, by id."""
        with self._lock:
            return [self._amphorae[key] for key in sorted(self._amphorae)]

    def inventory(self) -> list[Held]:
        """Every amphora, and what is left of others; those that are being built are not among either."""
        left = remains(self._host)
        found = []
        for amphora in self.all():
            left.pop(amphora.id, None)
            record = amphora.record
            if record is not None:
                fence, owner = record.assignment.fence, record.assignment.spec.load_balancer_id
                found.append(Held(amphora_id=amphora.id, load_balancer_id=owner, fence=fence))
        with self._lock:
            # The last fence of one that was removed: a late change of an earlier one brings it back no more.
            fences = {key: self._tombs.get(key, 0) for key in left}
        return found + [
            Held(amphora_id=key, known=False, remains=kinds, fence=fences[key]) for key, kinds in left.items()
        ]

    def running_generation(self, amphora_id: str) -> int | None:
        """The generation that runs, for a refusal to name."""
        amphora = self.get(amphora_id)
        record = amphora.record if amphora is not None else None
        return record.assignment.generation if record is not None else None

    def close(self) -> None:
        """Wait for changes under way. The data plane goes on."""
        for amphora in self.all():
            with amphora.lock:
                amphora.let_go()

    def _get_or_add(self, amphora_id: str, fence: int, *, removal: bool = False) -> Amphora:
        with self._lock:
            amphora = self._amphorae.get(amphora_id)
            if amphora is None:
                seen = self._tombs.get(amphora_id, 0)
                if fence < seen:
                    raise StaleFenceError(fence, seen)
                # The worker removes what it gave up changing under the same lease: that change may come yet.
                if fence == seen and not removal:
                    raise RemovedError(seen)
                amphora = self._amphorae[amphora_id] = Amphora(self._host, amphora_id)
            self._host.metrics.amphorae.set(len(self._amphorae))
            return amphora

    def _bury(self, amphora_id: str, fence: int) -> None:
        with self._lock:
            self._tombs[amphora_id] = max(fence, self._tombs.pop(amphora_id, 0))
            while len(self._tombs) > _MOST_TOMBS:
                self._tombs.pop(next(iter(self._tombs)))

    def _drop(self, amphora: Amphora) -> None:
        amphora.gone = True
        with self._lock:
            self._amphorae.pop(amphora.id, None)
        self._count()

    def _count(self) -> None:
        with self._lock:
            self._host.metrics.amphorae.set(len(self._amphorae))

    def _adopted(self, amphora: Amphora) -> None:
        with amphora.lock:
            try:
                amphora.adopt()
            except (RefusalError, msgspec.DecodeError, OSError) as error:
                # It stays known: the worker sees it not forwarding, and PUTs again.
                self._host.metrics.faults.inc()
                log.error("amphora could not be taken over", amphora=amphora.id, reason=str(error))


def _applied(amphora: Amphora, assignment: Assignment) -> Applied:
    try:
        return amphora.apply(assignment)
    except OSError as error:
        # What was begun is marked as such: the next PUT, or start of the agent, makes it whole.
        raise PlumbingError("The host's files or processes could not be changed.", details=str(error)) from error


def _prepared(amphora: Amphora) -> None:
    try:
        amphora.prepare_restart()
    except (RefusalError, msgspec.DecodeError, OSError) as error:
        log.error("an amphora could not be made ready to start", amphora=amphora.id, reason=str(error))
