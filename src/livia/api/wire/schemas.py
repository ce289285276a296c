"""JSON Schemas (2020-12) of what resources take and show, made of their attributes.

A schema names another resource by `$ref`; who wants the document collects the names (`component`).
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from livia.api.wire.attribute import Attribute, Nested, Null, Resource, Setting
from livia.services.settings import ApiSettings

Schema: TypeAlias = dict[str, Any]

#: UTC without a zone suffix (contract 00, section 7), so it is not the format `date-time`
TIME: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$",
    "examples": ["2026-03-02T10:11:12"],
}
NULLABLE_TIME: Final[Schema] = {**TIME, "type": ["string", "null"]}
VNIC_TYPE: Final[Schema] = {"type": "string", "enum": ["normal", "direct"]}
REFERENCE: Final[Schema] = {
    "type": "object",
    "properties": {"id": {"type": "string", "format": "uuid"}},
    "required": ["id"],
    "additionalProperties": False,
}
#: stands for another object of the same request (contract 10, section 6.2)
NAMED: Final[Schema] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 255}},
    "required": ["name"],
    "additionalProperties": False,
}
REFERENCES: Final[Schema] = {"type": "array", "items": REFERENCE}


def component(resource: Resource, method: str = "") -> str:
    """The name of a resource's schema: as shown, or with `method` as `create`, `update` or `nested` take it."""
    return "".join(word.capitalize() for word in (*resource.argument.strip("_").split("_"), method))


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Mapping[str, Any]) -> Schema:
    """The same, or null."""
    kind = schema.get("type")
    if not isinstance(kind, str):
        return {"anyOf": [dict(schema), {"type": "null"}]}
    result = {**schema, "type": [kind, "null"]}
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    if "anyOf" in result:
        result["anyOf"] = [*result["anyOf"], {"type": "null"}]
    return result


def taken(resource: Resource, method: str, settings: ApiSettings) -> Schema:
    """What a request sets: `method` as in `Resource.accepting`."""
    accepted = resource.accepting(method)
    schema: Schema = {
        "type": "object",
        "properties": {name: _taken(each, method, settings) for name, each in accepted.items()},
        "additionalProperties": False,
    }
    required = [name for name, each in accepted.items() if each.required and method != "update"]
    return {**schema, "required": required} if required else schema


def shown(resource: Resource, *, without: tuple[str, ...] = (), **instead: Schema) -> Schema:
    """A response object with every attribute, but those of `without`, and with the schemas of `instead`."""
    attributes = {each.name: each for each in resource.attributes if each.shown and each.name not in without}
    properties = {name: {**_shown(each), **_notes(each)} for name, each in attributes.items()} | instead
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in resource.may_lack],
        "additionalProperties": False,
    }


def filter_of(attribute: Attribute) -> Schema:
    """What a list is filtered by: one value of what responses show."""
    schema = _shown(attribute)
    if isinstance(schema.get("type"), list):
        schema["type"] = next(each for each in schema["type"] if each != "null")
    if schema["type"] == "array":
        return {"type": "string"}
    for key in ("enum", "anyOf"):
        if key in schema:
            schema[key] = [each for each in schema[key] if each not in (None, {"type": "null"})]
    return schema


def nested_in(resource: Resource) -> list[tuple[Resource, str]]:
    """The schemas that those of a resource refer to: resource, and method as in `component`."""
    found: list[tuple[Resource, str]] = []
    for each in resource.attributes:
        if isinstance(each.kind, Nested):
            inner = each.kind.resource()
            found += [(inner, method) for method, used in (("nested", each.create), ("update", each.update)) if used]
            if each.shown and each.shows is None:
                found.append((inner, ""))
    return found


def _taken(attribute: Attribute, method: str, settings: ApiSettings) -> Schema:
    updating = method == "update"
    schema = _value(attribute, "update" if updating else "nested")
    null = attribute.on_update_null if updating else attribute.on_create_null
    if null is not Null.REFUSE and (updating or not attribute.required):
        schema = nullable(schema)
    notes = _notes(attribute)
    if not updating and not attribute.required:
        default = default_of(attribute, settings)
        if default is not None:
            notes["default"] = default
    return {**schema, **notes}


def default_of(attribute: Attribute, settings: ApiSettings) -> Any:
    """What omission means on POST; None where it means nothing, or is decided later."""
    if isinstance(attribute.default, Setting):
        return getattr(settings, attribute.default.name)
    return attribute.default


def _value(attribute: Attribute, method: str) -> Schema:
    """A value that is not null."""
    kind = attribute.kind
    if isinstance(kind, Nested):
        schema = ref(component(kind.resource(), method))
        if kind.many:
            return {"type": "array", "items": schema}
        return {"anyOf": [schema, NAMED]} if kind.as_given and method else schema
    if kind is None:
        raise TypeError(f"{attribute.name} needs a kind or `shows`")
    return kind.schema()


def _shown(attribute: Attribute) -> Schema:
    if attribute.shows is not None:
        return dict(attribute.shows)
    schema = _value(attribute, "")
    # What a request may leave out and has no default is null until it is set.
    settable = attribute.create or attribute.update
    return nullable(schema) if settable and not attribute.required and attribute.default is None else schema


def _notes(attribute: Attribute) -> Schema:
    return {"description": attribute.about, "x-since": attribute.since}
