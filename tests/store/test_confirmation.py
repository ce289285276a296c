"""What a confirmed generation does to the rows, on each database."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from livia.store import confirmation
from livia.store import tables as t
from livia.store.engine import Database
from tests.database import NOW, put_load_balancer

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def database(any_database: Database) -> Database:
    return any_database


def stored(database: Database, key: str) -> tuple[object, ...]:
    lb = t.load_balancer.c
    columns = (lb.provisioning_status, lb.generation, lb.confirmed_generation, lb.updated_at)
    with database.read() as connection:
        return tuple(connection.execute(select(*columns).where(lb.id == key)).one())


def put(database: Database, **values: object) -> str:
    key = put_load_balancer(database)
    with database.write() as connection:
        connection.execute(update(t.load_balancer).values(updated_at=NOW, **values))
    return key


def confirm(database: Database, key: str, generation: int) -> bool:
    return database.transaction(lambda connection: confirmation.confirm(connection, key, generation, LATER))


def test_the_newest_makes_it_active(database: Database) -> None:
    key = put(database)
    assert confirm(database, key, 1) is True
    assert stored(database, key) == ("ACTIVE", 1, 1, LATER)
    with database.read() as connection:
        for table in (t.listener, t.pool, t.member):
            assert connection.execute(select(table.c.provisioning_status, table.c.updated_at)).one() == (
                "ACTIVE",
                LATER,
            )


def test_an_older_one_makes_what_it_has_active(database: Database) -> None:
    key = put(database, generation=3, provisioning_status="PENDING_UPDATE")
    with database.write() as connection:
        connection.execute(update(t.member).values(generation=3))
    assert confirm(database, key, 2) is False
    assert stored(database, key) == ("PENDING_UPDATE", 3, 2, NOW)
    with database.read() as connection:
        found = [connection.execute(select(table.c.provisioning_status)).scalar_one() for table in (t.pool, t.member)]
    assert found == ["ACTIVE", "PENDING_CREATE"]


def test_what_is_deleted_by_it_goes(database: Database) -> None:
    key = put(database, generation=2, provisioning_status="PENDING_UPDATE")
    with database.write() as connection:
        connection.execute(update(t.member).values(generation=2, provisioning_status="PENDING_DELETE"))
    assert confirm(database, key, 2) is True
    with database.read() as connection:
        assert connection.execute(select(t.member)).all() == []
        assert connection.execute(select(t.pool.c.provisioning_status)).scalar_one() == "ACTIVE"


def test_it_does_not_revive_what_is_being_deleted(database: Database) -> None:
    key = put(database, provisioning_status="PENDING_DELETE")
    assert confirm(database, key, 1) is False
    assert stored(database, key) == ("PENDING_DELETE", 1, 1, NOW)


def test_it_never_goes_back(database: Database) -> None:
    key = put(database, generation=5, confirmed_generation=5, provisioning_status="ACTIVE")
    assert confirm(database, key, 4) is False
    assert stored(database, key) == ("ACTIVE", 5, 5, NOW)
