"""Rows that count as being there."""

from sqlalchemy import ColumnElement, String, Table, literal_column

from livia.core.model.status import Provisioning

# Written out: a parameter has to be sent with every request.
_DELETED = literal_column(f"'{Provisioning.DELETED}'", String)


def is_live(table: Table) -> ColumnElement[bool]:
    """Objects that are not DELETED."""
    return table.c.provisioning_status != _DELETED
