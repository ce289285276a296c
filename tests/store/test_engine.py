"""What every transaction may rely on, on each database that is reachable."""

import pytest
from sqlalchemy import text

from tests.database import SERVERS, server_database


@pytest.mark.parametrize("kind", SERVERS)
def test_a_transaction_sees_what_others_committed_meanwhile(kind: str) -> None:
    with server_database(kind) as database:
        with database.write() as connection:
            connection.execute(text("CREATE TABLE counted (id INTEGER PRIMARY KEY)"))
        # A connection that was used for reading comes back from the pool for the transaction.
        with database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM counted")).scalar_one() == 0
        with database.write() as early:
            assert early.execute(text("SELECT count(*) FROM counted")).scalar_one() == 0
            with database.write() as other:
                other.execute(text("INSERT INTO counted VALUES (1)"))
            assert early.execute(text("SELECT count(*) FROM counted")).scalar_one() == 1
