"""Objects as the API shows them: one statement for one object, one for a page of them.

A `View` names the columns once. Statements are built once for each shape of question (which filters, which
order) and then only bound: building one costs more than running it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    FromClause,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
)

from livia.store.aggregates import iso_time, joined, json_texts, packed
from livia.store.literals import is_live, or_empty
from livia.store.packing import Values, reader
from livia.store.tables import tags

#: what a NULL sorts as: the databases disagree about NULL itself (contract 00, section 10.3)
_EMPTY: tuple[tuple[type[Any], Any], ...] = (
    (Boolean, False),
    (Integer, -(2**31)),
    (Float, -1.0),
    (DateTime, datetime(1970, 1, 1)),  # noqa: DTZ001 - naive UTC, as the tables hold it
    (String, ""),
)


class TagFilter(Struct, frozen=True, kw_only=True):
    """The four tag filters (contract 00, section 9). Empty tuples filter nothing."""

    every: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    not_every: tuple[str, ...] = ()
    none: tuple[str, ...] = ()


class Page(Struct, frozen=True, kw_only=True):
    """A question for a list. `where`: names of the view and the value each must equal; `sort`: (name, descending).

    `marker` is the key that the page starts after, or ends before if `backwards`. `limit` None: no limit.
    """

    where: tuple[tuple[str, Any], ...] = ()
    tags: TagFilter = TagFilter()
    sort: tuple[tuple[str, bool], ...] = ()
    marker: str | None = None
    backwards: bool = False
    limit: int | None = None


class MarkerError(LookupError):
    """No object has the marker's id."""


class View:
    """The shown columns of one kind of object, by the names of the API, and `extra` ones to filter and sort by.

    `key` is the column that objects are addressed by; `live` says which rows there are, by default all that are not
    DELETED; `order` is the default order, appended to every other as tie-breaker.
    """

    def __init__(
        self,
        table: Table,
        columns: Mapping[str, ColumnElement[Any]],
        *,
        extra: Mapping[str, ColumnElement[Any]] | None = None,
        source: FromClause | None = None,
        key: str = "id",
        live: ColumnElement[bool] | None = None,
        order: tuple[str, ...] = ("created_at", "id"),
    ) -> None:
        self.table = table
        self.names = tuple(columns)
        self._key = table.c[key]
        self._order = tuple((name, False) for name in order)
        named = {**columns, **(extra or {})}
        # A missing name is shown as "" and yet equals nothing (contract 00, section 10.2).
        self._filters = {**named, **{name: table.c[name] for name in ("name", "description") if name in table.c}}
        # Times are shown as text in whole seconds and sorted as they are.
        self._sorts = {**named, **{name: table.c[name] for name in ("created_at", "updated_at") if name in table.c}}
        self._read = reader(columns.values())
        self._base: Select[Any] = (
            select(packed(*columns.values()).label("packed"))
            .select_from(table if source is None else source)
            .where(is_live(table) if live is None else live)
        )
        self._one = self._base.where(self._key == bindparam("key"))
        self._statement = lru_cache(maxsize=512)(self._build)
        self._marker = lru_cache(maxsize=128)(self._build_marker)

    def one(self, connection: Connection, key: str) -> Values | None:
        """The values of one object."""
        text = connection.execute(self._one, {"key": key}).scalar_one_or_none()
        return None if text is None else self._read(text)

    def page(self, connection: Connection, page: Page) -> list[Values]:
        """The values of a page's objects, in the order asked for. Raises `MarkerError`."""
        order = self._ordered(page.sort)
        values: dict[str, Any] = {f"where_{index}": value for index, (_name, value) in enumerate(page.where)}
        for field in TagFilter.__struct_fields__:
            values.update({f"{field}_{index}": tag for index, tag in enumerate(getattr(page.tags, field))})
        if page.marker is not None:
            found = connection.execute(self._marker(order), {"key": page.marker}).one_or_none()
            if found is None:
                raise MarkerError(page.marker)
            values.update({f"after_{index}": value for index, value in enumerate(found)})
        if page.limit is not None:
            values["limit"] = page.limit
        statement = self._statement(
            tuple(name for name, _value in page.where),
            tuple(len(getattr(page.tags, field)) for field in TagFilter.__struct_fields__),
            order,
            page.marker is not None,
            page.backwards,
            page.limit is not None,
        )
        rows = [self._read(text) for text in connection.execute(statement, values).scalars()]
        return rows[::-1] if page.backwards else rows

    def _build(
        self,
        where: tuple[str, ...],
        tag_counts: tuple[int, ...],
        order: tuple[tuple[str, bool], ...],
        after: bool,
        backwards: bool,
        limited: bool,
    ) -> Select[Any]:
        conditions = [self._filters[name] == bindparam(f"where_{index}") for index, name in enumerate(where)]
        conditions += self._tag_conditions(dict(zip(TagFilter.__struct_fields__, tag_counts, strict=True)))
        keys = [(self._sort_key(name), descending != backwards) for name, descending in order]
        if after:
            conditions.append(_beyond(keys))
        statement = self._base.where(*conditions).order_by(
            *(key.desc() if descending else key.asc() for key, descending in keys)
        )
        return statement.limit(bindparam("limit", type_=Integer)) if limited else statement

    def _build_marker(self, order: tuple[tuple[str, bool], ...]) -> Select[Any]:
        return (
            self._base.with_only_columns(*(self._sort_key(name) for name, _descending in order))
            .where(self._key == bindparam("key"))
            .order_by(None)
        )

    def _ordered(self, sort: tuple[tuple[str, bool], ...]) -> tuple[tuple[str, bool], ...]:
        """The order asked for, with the tie-breakers that every list has."""
        order = dict(reversed([*sort, *self._order]))
        names = dict.fromkeys(name for name, _descending in (*sort, *self._order))
        return tuple((name, order[name]) for name in names)

    def _sort_key(self, name: str) -> ColumnElement[Any]:
        expression = self._sorts[name]
        # The default order must stay a plain column, or the project's index is of no use.
        if name in ("id", "created_at") or (isinstance(expression, Column) and not expression.nullable):
            return expression
        empty = next(value for kind, value in _EMPTY if isinstance(expression.type, kind))
        return func.coalesce(expression, literal(empty, expression.type))

    def _tag_conditions(self, counts: Mapping[str, int]) -> list[ColumnElement[bool]]:
        def has(field: str, index: int) -> ColumnElement[bool]:
            return (
                select(literal(1))
                .where(tags.c.resource_id == self._key, tags.c.tag == bindparam(f"{field}_{index}"))
                .correlate(self.table)
                .exists()
            )

        each = {field: [has(field, index) for index in range(count)] for field, count in counts.items()}
        conditions = list(each["every"])
        if each["some"]:
            conditions.append(or_(*each["some"]))
        if each["not_every"]:
            conditions.append(~and_(*each["not_every"]))
        if each["none"]:
            conditions.append(~or_(*each["none"]))
        return conditions


def _beyond(keys: Sequence[tuple[ColumnElement[Any], bool]]) -> ColumnElement[bool]:
    """Rows that come after the marker's values in the order of `keys`."""
    alternatives = []
    for position, (key, descending) in enumerate(keys):
        value = bindparam(f"after_{position}", type_=key.type)
        equal = [
            earlier == bindparam(f"after_{index}", type_=earlier.type)
            for index, (earlier, _descending) in enumerate(keys[:position])
        ]
        alternatives.append(and_(*equal, key < value if descending else key > value))
    return or_(*alternatives)


def object_columns(table: Table) -> dict[str, ColumnElement[Any]]:
    """The columns that every object of the API shows, tags included."""
    texts = {name: or_empty(table.c[name]) for name in ("name", "description") if name in table.c}
    return {
        "id": table.c.id,
        **texts,
        "admin_state_up": table.c.enabled,
        "provisioning_status": table.c.provisioning_status,
        "operating_status": table.c.operating_status,
        "project_id": table.c.project_id,
        "created_at": iso_time(table.c.created_at),
        "updated_at": iso_time(table.c.updated_at),
        "tags": json_texts(select(tags.c.tag.label("value")).where(tags.c.resource_id == table.c.id).correlate(table)),
    }


def ids_of(child: Table, condition: ColumnElement[bool], parent: Table) -> ColumnElement[str]:
    """The ids of an object's children, in creation order."""
    order = [child.c[name] for name in ("created_at", "ordinal", "id") if name in child.c]
    return joined(select(child.c.id.label("value")).where(condition).order_by(*order).correlate(parent))
