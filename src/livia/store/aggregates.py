"""What a list of children, a time or a whole object looks like in one column: the databases say these differently.

A correlated select becomes one value a row, so that a list of objects with all their children's ids is one
statement (design, section 4). All values of a row become one text, because drivers take longer over thirty columns
than everybody else over the request.
"""

from typing import Any

from sqlalchemy import Select, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import ScalarSelect


class _Aggregate(FunctionElement[str]):
    """One text made of the only column, labelled `value`, of a correlated select."""

    type = String()
    inherit_cache = True

    def __init__(self, query: Select[Any]) -> None:
        super().__init__(query.scalar_subquery())


class joined(_Aggregate):  # noqa: N801 - an SQL function
    """The values in the select's order, joined by commas; NULL without rows. For values without commas."""

    name = "joined"
    inherit_cache = True


class json_texts(_Aggregate):  # noqa: N801 - an SQL function
    """The values, which may be any texts, as a JSON array in any order; NULL or `[]` without rows. Inside `packed`."""

    name = "json_texts"
    inherit_cache = True


class packed(FunctionElement[str]):  # noqa: N801 - an SQL function
    """Any values as one text: a JSON array. Booleans may come as 0 and 1."""

    name = "packed"
    type = String()
    inherit_cache = True


class iso_time(FunctionElement[str]):  # noqa: N801 - an SQL function
    """A time as the API shows it, `YYYY-MM-DDTHH:MM:SS` (contract 00, section 7): no work for Python in lists."""

    name = "iso_time"
    type = String()
    inherit_cache = True


def _query(element: FunctionElement[Any]) -> ScalarSelect[Any]:
    (argument,) = element.clauses
    assert isinstance(argument, ScalarSelect)  # noqa: S101 - made so by _Aggregate
    return argument


@compiles(joined, "sqlite")
def _sqlite_joined(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(SELECT group_concat(value) FROM {compiler.process(_query(element), **kw)})"  # noqa: S608 - compiled SQL


@compiles(joined, "postgresql")
def _postgres_joined(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return f"array_to_string(ARRAY{compiler.process(_query(element), **kw)}, ',')"


@compiles(joined, "mysql")
@compiles(joined, "mariadb")
def _mysql_joined(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    return _mysql(_group_concat, element, compiler, **kw)


@compiles(json_texts, "sqlite")
def _sqlite_json(element: json_texts, compiler: SQLCompiler, **kw: Any) -> str:
    inner = compiler.process(_query(element), **kw)
    # A value that comes out of a select is plain text again until json() says otherwise.
    return f"json((SELECT json_group_array(value) FROM {inner}))"  # noqa: S608 - compiled SQL


@compiles(json_texts, "postgresql")
def _postgres_json(element: json_texts, compiler: SQLCompiler, **kw: Any) -> str:
    return f"array_to_json(ARRAY{compiler.process(_query(element), **kw)})"


@compiles(json_texts, "mysql")
@compiles(json_texts, "mariadb")
def _mysql_json(element: json_texts, compiler: SQLCompiler, **kw: Any) -> str:
    return _mysql(_json_array, element, compiler, **kw)


class _group_concat(FunctionElement[str]):  # noqa: N801 - an SQL function
    name = "group_concat"
    type = String()
    inherit_cache = True


class _json_array(FunctionElement[str]):  # noqa: N801 - an SQL function
    name = "json_arrayagg"
    type = String()
    inherit_cache = True


@compiles(_group_concat)
def _mysql_group_concat(element: _group_concat, compiler: SQLCompiler, **kw: Any) -> str:
    value, *order = (compiler.process(clause, **kw) for clause in element.clauses)
    ordered = f" ORDER BY {', '.join(order)}" if order else ""
    return f"GROUP_CONCAT({value}{ordered} SEPARATOR ',')"


@compiles(_json_array)
def _mysql_json_array(element: _json_array, compiler: SQLCompiler, **kw: Any) -> str:
    value, *_order = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"JSON_ARRAYAGG({value})"


def _mysql(
    aggregate: type[FunctionElement[str]], element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any
) -> str:
    # MariaDB lets no derived table see the outer row, so the aggregate itself goes into the correlated select.
    query = _query(element).element
    assert isinstance(query, Select)  # noqa: S101 - made so by _Aggregate
    (value,) = (_plain(column) for column in query.selected_columns)
    rewritten = query.with_only_columns(aggregate(value, *query._order_by_clauses)).order_by(None)
    return compiler.process(rewritten.scalar_subquery(), **kw)


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    inner: ColumnElement[Any] = getattr(column, "element", column)
    return inner


@compiles(packed, "sqlite")
@compiles(packed, "mysql")
@compiles(packed, "mariadb")
def _packed(element: packed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array({compiler.process(element.clauses, **kw)})"


@compiles(packed, "postgresql")
def _postgres_packed(element: packed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_build_array({compiler.process(element.clauses, **kw)})::text"


@compiles(iso_time, "sqlite")
def _sqlite_iso(element: iso_time, compiler: SQLCompiler, **kw: Any) -> str:
    return f"replace(substr({compiler.process(element.clauses, **kw)}, 1, 19), ' ', 'T')"


@compiles(iso_time, "postgresql")
def _postgres_iso(element: iso_time, compiler: SQLCompiler, **kw: Any) -> str:
    return f"to_char({compiler.process(element.clauses, **kw)}, 'YYYY-MM-DD\"T\"HH24:MI:SS')"


@compiles(iso_time, "mysql")
@compiles(iso_time, "mariadb")
def _mysql_iso(element: iso_time, compiler: SQLCompiler, **kw: Any) -> str:
    # Two percent signs: the drivers put parameters in with Python's % operator.
    return f"DATE_FORMAT({compiler.process(element.clauses, **kw)}, '%%Y-%%m-%%dT%%H:%%i:%%s')"
