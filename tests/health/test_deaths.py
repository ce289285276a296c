"""What is written about dead amphorae, and counted of it."""

from datetime import datetime, timedelta

from livia.core.clock import SystemClock
from livia.core.model.event import Event, Severity
from livia.core.wake import NoWake
from livia.health.deaths import DEAD, Registrar
from livia.store import events
from livia.store.engine import Database
from tests import database as rows


class SetClock(SystemClock):
    """A time of day that is set."""

    def __init__(self) -> None:
        self.time = rows.NOW

    def now(self) -> datetime:
        return self.time


def test_deaths_count_for_a_minute_whatever_clocks_are_set_to(any_database: Database) -> None:
    clock = SetClock()
    registrar = Registrar(any_database, clock, NoWake())
    key = rows.put_load_balancer(any_database)

    def die(number: int, ago: float) -> None:
        dead = Event(
            load_balancer_id=key,
            object_type="amphora",
            object_id=f"amphora-{number}",
            severity=Severity.ERROR,
            code=DEAD,
            message="It is dead.",
        )
        with any_database.write() as connection:
            events.add(connection, dead, clock.now() - timedelta(seconds=ago))

    for number, ago in enumerate((600.0, 61.0, 59.0, 1.0, -30.0)):
        die(number, ago)
    # The last one was told by a manager whose clock is ahead.
    assert registrar.recent_deaths() == 3
    # Set back by hours, the clock does not hold failovers for hours.
    clock.time -= timedelta(hours=2)
    assert registrar.recent_deaths() == 0
    die(5, 0.0)
    assert registrar.recent_deaths() == 1
