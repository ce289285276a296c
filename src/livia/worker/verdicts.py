"""What it means that a load balancer is not as wanted: another try, or ERROR too; its events say why."""

import re

from sqlalchemy import Connection

from livia.core.clock import Clock
from livia.core.drivers import DriverError, Unreachable
from livia.core.model.event import Event, Severity
from livia.core.model.status import PENDING, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.store import confirmation, events
from livia.store.engine import Database
from livia.store.work import LONGEST_PAUSE, backoff
from livia.worker.attempt import FINAL_REFUSALS, STALE_FENCE
from livia.worker.outcome import Again, Failed, Outcome

_ERROR = "load_balancer.error"
#: events that are looked through for what is to be told: of one request, a change meets few obstacles in turn
_LOOKED_THROUGH = 10
#: what differs in what is said of the same obstacle: process ids, durations, addresses of Python's objects
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")


class Verdicts:
    """Those of one reconcile. `deadline`: seconds of tries and pauses after which an unfinished change shows ERROR, by
    the clocks of who tries: the database's is set to another day at times; `attempts`: how often the same had been
    tried before; `request_id`: the request that all this follows from."""

    def __init__(
        self, database: Database, clock: Clock, *, deadline: float, attempts: int = 0, request_id: str | None
    ) -> None:
        self._database = database
        self._clock = clock
        self._deadline = deadline
        #: seconds before another try
        self.pause = backoff(attempts)
        self._request_id = request_id

    def begin_anew(self) -> None:
        """What was tried is done: another try at what remains is the first."""
        self.pause = backoff(0)

    def after_problem(
        self, tree: LoadBalancerTree, problem: DriverError, spent: float, *, settled: bool = False
    ) -> Outcome:
        """Something could not be done. `spent`: seconds that the change took so far; `settled`: as in `Again`."""
        if problem.code == STALE_FENCE:
            return Again(after=0.0, reason="a newer lease is known to the agent")
        if problem.code in FINAL_REFUSALS:
            return self.failed(tree, problem.message)
        if not isinstance(problem, Unreachable):
            self._database.transaction(lambda connection: self._tell(connection, tree, problem.code, problem.message))
        return self.not_yet(tree, self.pause, problem.message, spent, settled=settled)

    def not_yet(
        self, tree: LoadBalancerTree, after: float, reason: str, spent: float, *, settled: bool = False
    ) -> Outcome:
        """Nothing is to be done for `after` seconds. `spent`, `settled`: as in `after_problem`."""
        if spent < self._deadline or settled:
            return Again(after=after, reason=reason, settled=settled)
        return self.failed(tree, f"not done within {self._deadline:.0f} s: {reason}", after)

    def failed(self, tree: LoadBalancerTree, reason: str, after: float = 0.0) -> Failed:
        """What is pending shows ERROR. Another try comes after the longest pause, or in `after` seconds if longer."""

        def fail(connection: Connection) -> None:
            confirmation.fail(connection, tree.load_balancer.id, self._clock.now())
            # Together: who sees ERROR asks why, and must find it.
            self._tell(connection, tree, _ERROR, reason, Severity.ERROR)

        self._database.transaction(fail)
        return Failed(after=max(after, LONGEST_PAUSE), reason=reason)

    def failed_already(self, tree: LoadBalancerTree, reason: str) -> None:
        """Before a try that may not come to an end: what is pending shows ERROR. What is being deleted stays so, and
        says why once: `reason` may be another for each try."""
        status, key = tree.load_balancer.provisioning_status, tree.load_balancer.id
        if status not in PENDING:
            return
        if status is Provisioning.PENDING_DELETE:
            with self._database.read() as connection:
                last = events.of_load_balancer(connection, key, limit=1)
            if last and last[-1][0].code == _ERROR:
                return
        self.failed(tree, reason)

    def _tell(
        self,
        connection: Connection,
        tree: LoadBalancerTree,
        code: str,
        message: str,
        severity: Severity = Severity.WARNING,
    ) -> None:
        """Add an event, unless one of the same request said so: what is tried for weeks has no more than a few."""
        key = tree.load_balancer.id
        last = events.of_load_balancer(connection, key, limit=_LOOKED_THROUGH)
        ours = (each.message for each, _when in last if each.request_id == self._request_id)
        if _NUMBER.sub("", message) in {_NUMBER.sub("", each) for each in ours}:
            return
        entry = Event(
            load_balancer_id=key,
            object_type="load_balancer",
            object_id=key,
            severity=severity,
            code=code,
            message=message,
            request_id=self._request_id,
        )
        events.add(connection, entry, self._clock.now())
