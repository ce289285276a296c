"""What was deleted long ago goes, in batches, and nothing else."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Table, func, insert, select
from sqlalchemy.exc import OperationalError

from livia.house.purge import Purge
from livia.store import leases, purge
from livia.store import tables as t
from livia.store.engine import Database
from tests import database as rows
from tests.house.turns import HandClock, done, turn

_DAY = 86400.0


@pytest.fixture(params=["sqlite", *rows.SERVERS])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield rows.fresh(tmp_path)
        return
    with rows.server_database(request.param) as database:
        t.metadata.create_all(database.engine)
        yield database


def job(database: Database, registry: CollectorRegistry | None = None) -> Purge:
    return Purge(
        database,
        HandClock(rows.NOW),
        registry or CollectorRegistry(),
        interval=0.0,
        amphora_age=7 * _DAY,
        load_balancer_age=7 * _DAY,
        event_age=30 * _DAY,
    )


def load_balancer(database: Database, *, deleted_for: float | None, events: int = 0, event_age: float = 0.0) -> str:
    """One with as many events; deleted so many seconds ago, or not at all."""
    key = str(uuid4())
    with database.write() as connection:
        connection.execute(
            insert(t.load_balancer).values(
                id=key,
                project_id="p",
                enabled=True,
                operating_status="OFFLINE",
                provisioning_status="ACTIVE" if deleted_for is None else "DELETED",
                created_at=rows.NOW,
                updated_at=rows.NOW - timedelta(seconds=deleted_for or 0.0),
                generation=1,
            )
        )
        entry = {
            "load_balancer_id": key,
            "object_type": "load_balancer",
            "object_id": key,
            "severity": "INFO",
            "code": "test",
            "message": "It happened.",
            "created_at": rows.NOW - timedelta(seconds=event_age),
        }
        if events:
            connection.execute(insert(t.event), [entry] * events)
    return key


def amphora(database: Database, owner: str | None, *, status: str, age: float) -> str:
    key = str(uuid4())
    with database.write() as connection:
        moment = rows.NOW - timedelta(seconds=age)
        connection.execute(
            insert(t.amphora).values(
                id=key, status=status, load_balancer_id=owner, created_at=moment, updated_at=moment
            )
        )
    return key


def count(database: Database, table: Table) -> int:
    with database.read() as connection:
        number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
    return number


def ids(database: Database, table: Table) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(table.c.id)).scalars())


def test_only_what_was_deleted_long_enough_goes(database: Database) -> None:
    kept = {load_balancer(database, deleted_for=None), load_balancer(database, deleted_for=6 * _DAY)}
    load_balancer(database, deleted_for=8 * _DAY)
    referred = load_balancer(database, deleted_for=8 * _DAY)
    young = amphora(database, referred, status="DELETED", age=6 * _DAY)
    amphora(database, None, status="DELETED", age=8 * _DAY)
    serving = amphora(database, None, status="ALLOCATED", age=80 * _DAY)
    outcome = done(database, job(database))
    assert outcome.reason == "purged: 1 of amphora, 1 of load_balancer"
    assert ids(database, t.load_balancer) == kept | {referred}
    assert ids(database, t.amphora) == {young, serving}


def test_many_rows_go_in_batches_between_which_others_write(database: Database) -> None:
    many = 4 * purge.BATCH + 7
    load_balancer(database, deleted_for=8 * _DAY, events=many)
    living = load_balancer(database, deleted_for=None, events=3)
    registry, ended, written = CollectorRegistry(), Event(), []

    def write() -> None:
        while not ended.is_set():
            written.append(load_balancer(database, deleted_for=None))

    writer = Thread(target=write)
    writer.start()
    try:
        outcome = done(database, job(database, registry))
    finally:
        ended.set()
        writer.join()
    assert outcome.done == many + 1
    assert len(written) >= 4
    assert count(database, t.event) == 3
    assert living in ids(database, t.load_balancer)
    kinds = {"event of a deleted load balancer": many, "load_balancer": 1, "event": 0, "amphora": 0}
    for kind, expected in kinds.items():
        assert registry.get_sample_value("livia_house_purged_rows_total", {"kind": kind}) in (
            expected,
            expected or None,
        )


def test_old_events_of_living_load_balancers_go(database: Database) -> None:
    old = load_balancer(database, deleted_for=None, events=purge.BATCH + 1, event_age=31 * _DAY)
    load_balancer(database, deleted_for=None, events=2, event_age=29 * _DAY)
    outcome = done(database, job(database))
    assert outcome.done == purge.BATCH + 1
    assert count(database, t.event) == 2
    assert old in ids(database, t.load_balancer)


def test_a_purge_that_broke_off_is_finished_by_the_next(database: Database) -> None:
    load_balancer(database, deleted_for=8 * _DAY, events=2 * purge.BATCH)

    class Breaking(Purge):
        """Its database is gone after the first batch."""

        def _all(self, turn: object, kind: str, what: purge.Old, before: object) -> int:
            with database.read() as connection:
                found = what.find(connection, before)  # type: ignore[arg-type]
            if found:
                database.transaction(lambda connection: what.drop(connection, found, before))  # type: ignore[arg-type]
                raise OperationalError("DELETE", {}, Exception("gone"))
            return 0

    broken = Breaking(
        database,
        HandClock(rows.NOW),
        CollectorRegistry(),
        interval=60.0,
        amphora_age=_DAY,
        load_balancer_age=_DAY,
        event_age=_DAY,
    )
    with pytest.raises(OperationalError):
        turn(database, broken, owner="broken")
    assert count(database, t.event) == purge.BATCH
    # Its lease is free at once: what failed is not done.
    assert done(database, job(database), owner="another").done == purge.BATCH + 1


def test_with_an_amphora_go_its_lease_and_what_was_confirmed_of_it_too_late(database: Database) -> None:
    old = amphora(database, None, status="DELETED", age=8 * _DAY)
    young = amphora(database, None, status="DELETED", age=6 * _DAY)
    with database.write() as connection:
        for key in (old, young, "house:other"):
            assert leases.take(connection, key, "worker", 1.0) is not None
            connection.execute(insert(t.amphora_health).values(amphora_id=key, last_update=rows.NOW, busy=False))
    done(database, job(database))
    with database.read() as connection:
        held = set(connection.execute(select(t.lease.c.key)).scalars())
        heard = set(connection.execute(select(t.amphora_health.c.amphora_id)).scalars())
    assert (old in held, old in heard) == (False, False)
    assert {young, "house:other"} <= held & heard
