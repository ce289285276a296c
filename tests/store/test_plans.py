"""Lists follow the size of what they list, not of the table: plans begin at an index, which also has the order."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from livia.store import health_monitors, l7policies, listeners, load_balancers, pools
from livia.store.engine import Database
from livia.store.tables import metadata
from livia.store.view import Page, View
from tests.database import fresh

VIEWS = {
    "load_balancer": load_balancers.VIEW,
    "listener": listeners.VIEW,
    "pool": pools.VIEW,
    "health_monitor": health_monitors.VIEW,
    "l7policy": l7policies.VIEW,
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_projects_list_reads_its_part_of_the_index(tmp_path: Path, name: str) -> None:
    database = fresh(tmp_path)
    plan = explained(database, VIEWS[name], Page(where=(("project_id", "p"),), limit=100))
    database.close()
    assert plan[0] == f"SEARCH {name} USING INDEX ix_{name}_project (project_id=?)", plan
    whole = [f"SCAN {table}" for table in metadata.tables]
    assert not [step for step in plan if step in whole], plan


def explained(database: Database, view: View, page: Page) -> list[str]:
    """The steps of SQLite's plan for a page."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", note)
        view.page(connection, page)
        event.remove(connection, "before_cursor_execute", note)
        ((statement, parameters),) = asked
        return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
