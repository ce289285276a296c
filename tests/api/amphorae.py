"""Amphora rows as the worker leaves them."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert

from livia.store import tables as t
from tests.api.harness import Harness

WHEN = datetime(2026, 3, 2, 10, 11, 12, 345678)  # noqa: DTZ001 - naive UTC, as the tables hold it
SHOWN_WHEN = "2026-03-02T10:11:12"


def put(harness: Harness, amphora_id: str, load_balancer_id: str | None, **values: Any) -> None:
    """An amphora. `values`: columns."""
    row = {"applied_generation": 5, "created_at": WHEN, "updated_at": WHEN, **values}
    with harness.database.write() as connection:
        connection.execute(insert(t.amphora).values(id=amphora_id, load_balancer_id=load_balancer_id, **row))


def reported(harness: Harness, amphora_id: str, load_balancer_id: str, listener_id: str, **counters: int) -> None:
    """What a listener has reported on an amphora."""
    row = {"listener_id": listener_id, "amphora_id": amphora_id, "load_balancer_id": load_balancer_id, **counters}
    with harness.database.write() as connection:
        connection.execute(insert(t.listener_statistics).values(**row))
