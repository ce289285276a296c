"""Quotas: the limits of a project, counted from the rows themselves, so that no counter can drift."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Integer, Select, bindparam, func, literal, select, true, update

from livia.store.literals import is_live
from livia.store.objects import TABLES
from livia.store.tables import QUOTA_RESOURCES, quotas
from livia.store.upsert import upsert
from livia.store.view import View


def view(defaults: Mapping[str, int]) -> View:
    """The projects that have a row, with the limits that are in force. `defaults`: kind to the deployment's limit."""
    columns = {kind: func.coalesce(quotas.c[kind], literal(defaults[kind], Integer)) for kind in QUOTA_RESOURCES}
    named = {**columns, "project_id": quotas.c.project_id}
    return View(quotas, named, key="project_id", live=true(), order=("project_id",))


_LIMITS = select(*(quotas.c[kind] for kind in QUOTA_RESOURCES)).where(quotas.c.project_id == bindparam("project_id"))


def limits(connection: Connection, project_id: str) -> dict[str, int | None] | None:
    """Kind to the project's own limit; None where the default applies, -1 for none. None without a row."""
    row = connection.execute(_LIMITS, {"project_id": project_id}).one_or_none()
    return None if row is None else dict(zip(QUOTA_RESOURCES, row, strict=True))


def put(connection: Connection, project_id: str, limits: Mapping[str, int | None]) -> None:
    """Write limits of a project; None: the default applies."""
    lock(connection, project_id)
    if limits:
        connection.execute(update(quotas).where(quotas.c.project_id == project_id).values(**limits))


def reset(connection: Connection, project_id: str) -> None:
    """Let the defaults apply to a project; its row stays."""
    nothing = dict.fromkeys(QUOTA_RESOURCES)
    connection.execute(update(quotas).where(quotas.c.project_id == project_id).values(nothing))


@cache
def _lock(dialect: str) -> Executable:
    row: dict[str, Any] = {"project_id": bindparam("project_id")}
    return upsert(dialect, quotas, row, row)


def lock(connection: Connection, project_id: str) -> None:
    """Let no other request of the project count until the transaction ends. The project has a row then."""
    connection.execute(_lock(connection.dialect.name), {"project_id": project_id})


@cache
def _used(kind: str) -> Select[Any]:
    table = TABLES[kind]
    return select(func.count()).select_from(table).where(table.c.project_id == bindparam("project_id"), is_live(table))


def used(connection: Connection, project_id: str, kind: str) -> int:
    """How many objects of `kind` the project has; those being deleted count (contract 00, section 13)."""
    number: int = connection.execute(_used(kind), {"project_id": project_id}).scalar_one()
    return number
