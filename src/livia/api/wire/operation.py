"""The form of what the API can do, and the rows that most resources have.

The document at `/openapi.json`, the reference page and the tests that send requests are made of such rows
(`livia.api.operations`).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from livia.api.wire import schemas
from livia.api.wire.attribute import Resource
from livia.api.wire.schemas import Schema

LBAAS = "/v2/lbaas"


class Parameter(Struct, frozen=True, kw_only=True):
    """A parameter. `schema`: of one value; `repeated`: it may be given several times. `where`: `query`, `header`."""

    name: str
    schema: Schema
    about: str
    repeated: bool = False
    since: str | None = "2.0"
    where: str = "query"


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one path.

    `path`: as clients write it. `name`: unique. `rules`: the policy rules that are asked, without their common
    prefix (contract 80, section 3). `takes`, `shows`: the JSON Schemas of the bodies of request and answer, None:
    there is none. `query`: its parameters. `status`: of success. `open`: nobody has to authenticate, and only
    `also` is answered besides: statuses, and the bodies they may have by media type. `since` None: the version does
    not tell, because it is an extension of ours.
    """

    method: str
    path: str
    name: str
    summary: str
    rules: tuple[str, ...] = ()
    takes: Schema | None = None
    shows: Schema | None = None
    query: tuple[Parameter, ...] = ()
    status: int = 200
    since: str | None = "2.0"
    open: bool = False
    also: Mapping[int, Mapping[str, Schema]] = {}


class Subject(Struct, frozen=True, kw_only=True):
    """What operations are about: a section of the reference, with the attributes of a resource if it has one.

    `schemas`: further named schemas that its operations refer to.
    """

    title: str
    about: str
    operations: tuple[Operation, ...]
    resource: Resource | None = None
    schemas: Mapping[str, Schema] = {}


def closed(**properties: Schema) -> Schema:
    """An object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def shown(resource: Resource) -> Schema:
    """The body that shows one object."""
    return closed(**{resource.item: schemas.ref(schemas.component(resource))})


def taken(resource: Resource, method: str) -> Schema:
    """The body that sets one object's attributes."""
    return closed(**{resource.item: schemas.ref(schemas.component(resource, method))})


def selected(resource: Resource) -> Schema:
    """An object with all attributes, or with those that `fields` asks for."""
    name = schemas.component(resource)
    return {"anyOf": [schemas.ref(name), schemas.ref(f"{name}Fields")]}


def page(resource: Resource) -> Schema:
    """The body that shows a page of objects."""
    links: Schema = {"type": "array", "items": schemas.ref("Link"), "maxItems": 2}
    name = resource.collection
    named = dict.fromkeys((f"{name}_links", *resource.more_links), links)
    return closed(**{name: {"type": "array", "items": selected(resource)}, **named})


def fields(resource: Resource) -> Parameter:
    """The parameter that reduces objects to some of their attributes."""
    names = [each.name for each in resource.attributes if each.shown]
    return Parameter(
        name="fields",
        schema={"type": "string", "enum": names},
        about="Show only this attribute. Repeat it for several.",
        repeated=True,
    )


_TAGS = (
    ("tags", "Tags parted by commas: objects that have all of them."),
    ("tags-any", "Tags parted by commas: objects that have one of them at least."),
    ("not-tags", "Tags parted by commas: objects that lack one of them at least."),
    ("not-tags-any", "Tags parted by commas: objects that have none of them."),
)
_PAGING = (
    Parameter(
        name="limit",
        schema={"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "enum": ["infinite"]}]},
        about="The most objects of a page. `infinite` and 0: all of them.",
    ),
    Parameter(
        name="marker",
        schema={"type": "string"},
        about="The id of the last object seen: the page starts after it.",
    ),
    Parameter(
        name="page_reverse",
        schema={"type": "string", "enum": ["True", "False"]},
        about="With `True` the page ends before the marker instead.",
    ),
)


def lists(resource: Resource) -> tuple[Parameter, ...]:
    """The query of a list: filters, tags, order, pages and fields (contract 00, sections 9 and 10)."""
    keys = [each.name for each in resource.attributes if each.sorted] + list(resource.more_sorts)
    direction: Schema = {"type": "string", "enum": ["asc", "desc"]}
    word = "|".join(keys)
    order = (
        Parameter(
            name="sort",
            schema={"type": "string", "pattern": f"^({word})(:(asc|desc))?(,({word})(:(asc|desc))?)*$"},
            about="Keys parted by commas, each perhaps with `:asc` or `:desc`.",
        ),
        Parameter(name="sort_key", schema={"type": "string", "enum": keys}, about="A key to sort by.", repeated=True),
        Parameter(name="sort_dir", schema=direction, about="The direction of each `sort_key`.", repeated=True),
    )
    tagged = any(each.name == "tags" for each in resource.attributes)
    text: Schema = {"type": "string"}
    tags = (Parameter(name=name, schema=text, about=about, since="2.5") for name, about in _TAGS if tagged)
    return (*filters(resource), *tags, *order, *_PAGING, fields(resource))


def filters(resource: Resource) -> tuple[Parameter, ...]:
    """What lists are filtered by; a filter that no column answers matches nothing."""
    named = {each.name: each for each in resource.attributes}
    wanted = {each.name: each.name for each in resource.attributes if each.filtered} | dict(resource.more_filters)
    return tuple(
        Parameter(
            name=name,
            schema=schemas.filter_of(named[name]) if name in named else {"type": "string"},
            about="Only objects whose value equals this." if column else "Taken, and no object equals it.",
            since=named[name].since if name in named else "2.0",
        )
        for name, column in wanted.items()
    )


def usual(
    resource: Resource,
    one: str,
    many: str,
    *,
    path: str = "",
    key: str = "",
    rules: str = "",
    everyones: bool = True,
    since: str = "2.0",
) -> tuple[Operation, ...]:
    """List, create, show, update and delete.

    `one`, `many`: what such objects are called ("a listener", "listeners"). `path`: of the collection. `key`: the
    name of the last part of an item's path. `rules`: what policy rules call the resource. `everyones`: there is a
    rule to list the objects of all projects.
    """
    path = path or f"{LBAAS}/{resource.url_word}"
    item = f"{path}/{{{key or resource.item + '_id'}}}"
    rules = rules or resource.rule_word
    noun, nouns = one.partition(" ")[2].replace(" ", "_").lower(), many.replace(" ", "_").lower()
    all_rules = (f"{rules}:get_all", f"{rules}:get_all-global") if everyones else (f"{rules}:get_all",)

    def row(method: str, where: str, name: str, summary: str, *asked: str, **more: Any) -> Operation:
        return Operation(method=method, path=where, name=name, summary=summary, rules=asked, since=since, **more)

    listed: dict[str, Any] = {"shows": page(resource), "query": lists(resource)}
    created: dict[str, Any] = {"takes": taken(resource, "create"), "shows": shown(resource), "status": 201}
    found: dict[str, Any] = {"shows": closed(**{resource.item: selected(resource)}), "query": (fields(resource),)}
    changed: dict[str, Any] = {"takes": taken(resource, "update"), "shows": shown(resource)}
    return (
        row("GET", path, f"list_{nouns}", f"List {many}", *all_rules, **listed),
        row("POST", path, f"create_{noun}", f"Create {one}", f"{rules}:post", **created),
        row("GET", item, f"show_{noun}", f"Show {one}", f"{rules}:get_one", **found),
        row("PUT", item, f"update_{noun}", f"Change {one}", f"{rules}:put", **changed),
        row("DELETE", item, f"delete_{noun}", f"Delete {one}", f"{rules}:delete", status=204),
    )
