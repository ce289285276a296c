"""Quotas: the limits of a project, counted from the rows themselves, so that no counter can drift."""

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from livia.core.model.status import Provisioning
from livia.store.objects import TABLES
from livia.store.tables import quotas


def limits(connection: Connection, project_id: str) -> dict[str, int | None]:
    """Kind to the project's own limit; None where the default applies, -1 for none."""
    row = connection.execute(select(quotas).where(quotas.c.project_id == project_id)).mappings().one_or_none()
    return {kind: None if row is None else row[kind] for kind in TABLES}


def lock(connection: Connection, project_id: str) -> None:
    """Let no other request of the project count until the transaction ends."""
    locked = update(quotas).where(quotas.c.project_id == project_id).values(project_id=project_id)
    if connection.execute(locked).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(quotas).values(project_id=project_id))
    except IntegrityError:
        # Another request inserted it between the two statements: wait for that one.
        connection.execute(locked)


def used(connection: Connection, project_id: str, kind: str) -> int:
    """How many objects of `kind` the project has; those being deleted count (contract 00, section 13)."""
    table = TABLES[kind]
    return connection.execute(
        select(func.count())
        .select_from(table)
        .where(table.c.project_id == project_id, table.c.provisioning_status != str(Provisioning.DELETED))
    ).scalar_one()
