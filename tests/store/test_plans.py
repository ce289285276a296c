"""Lists follow the size of what they list, and looks that of what they look at, not of the table: plans begin at an
index, which also has the order."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from livia.store import confirmation, health_monitors, hosts, l7policies, listeners, load_balancers, pairs, pools, stuck
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


WHOLE = [f"SCAN {table}" for table in metadata.tables]


@pytest.mark.parametrize("name", VIEWS)
def test_a_projects_list_reads_its_part_of_the_index(tmp_path: Path, name: str) -> None:
    database = fresh(tmp_path)
    plan = explained(database, VIEWS[name], Page(where=(("project_id", "p"),), limit=100))
    database.close()
    assert plan[0] == f"SEARCH {name} USING INDEX ix_{name}_project (project_id=?)", plan
    assert not [step for step in plan if step in WHOLE], plan


def test_looking_for_forgotten_parts_reads_those_of_the_load_balancers_in_turn(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    for look in (lambda at: stuck.end_of(at, "a", 1000), lambda at: stuck.children(at, "a", "b")):
        plans = explain(database, look)
        assert plans
        for plan in plans:
            # A subquery of a few ids may be gone through; no table may.
            assert not [step for step in plan if step in WHOLE], plan
            assert [step for step in plan if "SEARCH" in step], plan
    database.close()


def test_a_confirmation_looks_at_what_is_pending_and_not_at_every_member(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    plans = explain(database, lambda at: confirmation.confirm(at, "a", 1, datetime(2026, 3, 2)))  # noqa: DTZ001
    steps = [step for plan in plans for step in plan if step.startswith("SEARCH member ")]
    assert len(steps) == 2, plans
    for step in steps:
        assert "ix_member_pending (load_balancer_id=? AND provisioning_status=?)" in step, step
    database.close()


def test_pairs_to_part_are_found_by_one_walk_and_what_is_asked_of_them_by_indexes(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    now = datetime(2026, 3, 2)  # noqa: DTZ001
    alternatives: tuple[list[list[str]], ...] = ([], [["a", "b"], ["c"]])
    for zones in alternatives:
        (plan,) = explain(database, partial(pairs.shared, zones=zones, now=now, heard=60.0, again=60.0))
        steps = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert len([step for step in steps if step.startswith("SCAN")]) == 1, plan
        assert len([step for step in steps if "ix_amphora_load_balancer_id (load_balancer_id=?)" in step]) >= 2, plan
    database.close()


def test_amphorae_of_hosts_are_counted_in_an_index_alone(tmp_path: Path) -> None:
    database = fresh(tmp_path)
    (plan,) = explain(database, hosts.every)
    steps = [step for step in plan if step.startswith(("SCAN amphora ", "SEARCH amphora "))]
    assert steps == ["SCAN amphora USING COVERING INDEX ix_amphora_host"], plan
    database.close()


def explained(database: Database, view: View, page: Page) -> list[str]:
    """The steps of SQLite's plan for a page."""
    (plan,) = explain(database, lambda connection: view.page(connection, page))
    return plan


def explain(database: Database, ask: Callable[[Connection], object]) -> list[list[str]]:
    """The steps of SQLite's plan for each statement that is asked."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", note)
        ask(connection)
        event.remove(connection, "before_cursor_execute", note)
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values) for text, values in asked]
        return [[row.detail for row in plan] for plan in plans]
