"""Words of ours written out in statements: a parameter has to be prepared and sent with every request."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, String, Table, func, literal_column

from livia.core.model.status import Provisioning


def word(text: str) -> ColumnElement[str]:
    """A status, a provider, or an empty text; never what a request says."""
    assert not text or text.replace("_", "").isalnum()  # noqa: S101 - nothing that needs quoting
    return literal_column(f"'{text}'", String)


def words(texts: Iterable[str]) -> list[ColumnElement[str]]:
    """Several, for IN."""
    return [word(text) for text in texts]


def or_empty(column: ColumnElement[str]) -> ColumnElement[str]:
    """A text, empty where there is none."""
    return func.coalesce(column, word(""))


def is_live(table: Table) -> ColumnElement[bool]:
    """Objects that are not DELETED."""
    return table.c.provisioning_status != word(Provisioning.DELETED)
