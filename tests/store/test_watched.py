"""What the health manager reads of the whole fleet, on every kind of database."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection, insert, update

from livia.store import tables as t
from livia.store import watched
from livia.store.engine import Database
from livia.store.watched import Watched
from tests.database import NOW, put_load_balancer


def put(connection: Connection, owner: str, amphora_id: str, *, seconds: float = 0.0, **columns: object) -> None:
    """An amphora that was last heard so many seconds after NOW."""
    values = {"status": "ALLOCATED", "applied_generation": 7, "applied_digest": "d7", **columns}
    connection.execute(insert(t.amphora).values(id=amphora_id, load_balancer_id=owner, **values))
    last = NOW + timedelta(seconds=seconds)
    connection.execute(insert(t.amphora_health).values(amphora_id=amphora_id, last_update=last, busy=False))


def test_who_is_expected_to_report_is_read_with_what_it_confirmed(any_database: Database) -> None:
    pair, single, untold = (put_load_balancer(any_database, topology=each) for each in ("ACTIVE_STANDBY", "SINGLE", ""))
    with any_database.write() as connection:
        of = t.load_balancer.c
        connection.execute(update(t.load_balancer).where(of.id == pair).values(provisioning_status="ACTIVE"))
        connection.execute(update(t.load_balancer).where(of.id == untold).values(topology=None))
        put(connection, pair, "a1")
        put(connection, single, "a2", status="FAILOVER_STOPPED")
        put(connection, untold, "b", applied_generation=2**40, applied_digest=None)
        for status in ("BOOTING", "ERROR", "PENDING_DELETE"):
            put(connection, pair, status, status=status)
    with any_database.read() as connection:
        assert watched.every(connection) == {
            "a1": Watched("a1", pair, 7, "d7", settled=True, stopped=False, paired=True),
            "a2": Watched("a2", single, 7, "d7", settled=False, stopped=True, paired=False),
            "b": Watched("b", untold, 2**40, "", settled=False, stopped=False, paired=False),
        }


def test_of_a_large_fleet_nobody_is_left_out(any_database: Database) -> None:
    owner = put_load_balancer(any_database)
    digest = "0" * 64
    ids = {str(uuid4()) for _ in range(1500)}
    with any_database.write() as connection:
        for table, rows in (
            (
                t.amphora,
                [
                    {"id": each, "load_balancer_id": owner, "status": "ALLOCATED", "applied_digest": digest}
                    for each in ids
                ],
            ),
            (t.amphora_health, [{"amphora_id": each, "last_update": NOW, "busy": False} for each in ids]),
        ):
            connection.execute(insert(table), rows)
    with any_database.read() as connection:
        found = watched.every(connection)
        assert found.keys() == ids
        assert {row.digest for row in found.values()} == {digest}
        assert watched.last_updates(connection) == dict.fromkeys(ids, NOW)


def test_times_are_told_to_the_microsecond_with_who_was_heard_then(any_database: Database) -> None:
    owner = put_load_balancer(any_database)
    with any_database.write() as connection:
        for amphora_id, seconds in (("a", 0.0), ("b", 0.000001), ("c", 0.0)):
            put(connection, owner, amphora_id, seconds=seconds)
    with any_database.read() as connection:
        found = watched.last_updates(connection)
    assert found == {"a": NOW, "b": NOW + timedelta(microseconds=1), "c": NOW}
