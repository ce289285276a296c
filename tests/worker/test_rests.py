"""What remains when all that was asked for is confirmed: an amphora that was replaced, and could not be removed."""

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event

from sqlalchemy import update

from livia.core.drivers import AmphoraDriver, Placement, Unreachable
from livia.drivers.amphora.noop import NoopAmphorae
from livia.store import tables as t
from livia.store import work
from livia.worker.outcome import Again
from tests.worker.world import World


class Unremovable(NoopAmphorae):
    """Agents that are gone when something is to be removed."""

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        raise Unreachable("connection reset")


class Counting(NoopAmphorae):
    """Agents that count what they are to remove."""

    def __init__(self) -> None:
        super().__init__()
        self.removals = 0

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        self.removals += 1
        super().remove(placement, amphora_id, fence)


class Site(World):
    """A load balancer whose amphora died, and cannot be told."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.key = self.load_balancer("SINGLE")
        self.reconcile(self.key)
        with self.database.write() as connection:
            connection.execute(update(t.amphora).values(status="ERROR"))
            connection.execute(update(t.load_balancer).values(provisioning_status="PENDING_UPDATE"))
            connection.execute(update(t.lease).values(expires=0.0))
            work.request(connection, self.key, project_id="p")

    def look(self, attempts: int, agents: AmphoraDriver | None = None, removals: Executor | None = None) -> Again:
        with self.database.write() as connection:
            connection.execute(update(t.lease).values(expires=0.0))
        outcome = self.attempt(self.key, attempts=attempts, agents=agents or Unremovable(), removals=removals)
        assert isinstance(outcome, Again)
        assert outcome.settled
        return outcome

    def settle(self, *, settled: bool) -> int:
        """What a worker records; how many tries count then."""
        with self.database.write() as connection:
            work.again(connection, self.key, None, 0.0, "a reason", settled=settled)
            entry = work.one(connection, self.key)
        assert entry is not None
        return entry.attempts


def test_it_is_tried_again_soon_and_then_ever_less_often(tmp_path: Path) -> None:
    site = Site(tmp_path)
    # However long it took to replace it.
    assert site.look(12).after < 1.0
    pauses = [site.look(attempts).after for attempts in (1, 4, 12)]
    assert pauses == sorted(set(pauses))
    assert pauses[0] < 1.0
    assert pauses[-1] == 30.0


def test_tries_count_from_the_confirmation(tmp_path: Path) -> None:
    site = Site(tmp_path)
    tries = [site.settle(settled=settled) for settled in (False, False, False, True, True, True)]
    assert tries == [1, 2, 3, 1, 2, 3]


def test_a_removal_that_had_to_wait_for_a_thread_does_not_begin_when_its_look_is_over(tmp_path: Path) -> None:
    site, agents, answer = Site(tmp_path), Counting(), Event()
    with ThreadPoolExecutor(1) as removals:
        # As if another's agent hung.
        removals.submit(answer.wait)
        site.look(1, agents, removals)
        site.look(2, agents, removals)
        answer.set()
    assert agents.removals == 0
