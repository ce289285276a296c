"""The reference page, docs/api-reference.md, made of the same rows and definitions as the OpenAPI document.

`python -m livia.api.reference > docs/api-reference.md` writes it anew.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from livia.api.openapi import errors, rules
from livia.api.operations import SUBJECTS
from livia.api.wire import extensions, schemas
from livia.api.wire.attribute import Attribute, Nested, Resource, Setting
from livia.api.wire.kinds import LARGEST_INTEGER
from livia.api.wire.operation import Operation, Parameter, Subject, filters, lists
from livia.services.settings import ApiSettings

_HEAD = """\
# API reference

<!-- Written by `python -m livia.api.reference`, and compared by a test: edit src/livia/api/wire instead. -->

The OpenStack Load Balancer API, versions 2.0 to 2.30. The service describes itself in OpenAPI 3.1 at `/openapi.json`.
Every path below `/v2/lbaas` is also found below `/v2.0/lbaas`. *Since* is the version that added something; the service
always speaks the newest. *Livia* marks what only this service has.

A change is answered when it is stored; `provisioning_status` turns `ACTIVE` once the data plane has it.

In the tables of operations, *rules* are names of policy rules without `os_load-balancer_api:`, and *refusals* are the
statuses besides success. Errors are `{"faultcode": …, "faultstring": …, "debuginfo": null}`; the sentence is the fault
string. In the tables of attributes, *POST* and *PUT* tell whether a request may set it, *answer* whether responses show
it, *lists* whether lists are filtered or sorted by it. A *default* with a name in brackets is what the deployment
configures by that name; an attribute without one is null, or what its meaning says.
"""
_LISTS = """\
## Lists

Every list takes its filters (`name=web`: objects whose value equals it; all of several) and these parameters. An answer
has `<collection>_links` with the addresses of the pages before and after.
"""
_EXTENSIONS = """\
## On any request

Below `/v2/lbaas` and `/v2/octavia`, every write takes `dry_run`, every POST `Idempotency-Key`, and what changes or
shows a single object a condition on its ETag, which the answer to GET has.
"""
_REFERENCE = {"type": "array", "items": schemas.REFERENCE}


def page() -> str:
    """The whole page."""
    settings = ApiSettings()
    parts = [_HEAD, *_common(), *(_section(each, settings) for each in SUBJECTS)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _common() -> Iterator[str]:
    resource = next(each.resource for each in SUBJECTS if each.resource is not None)
    own = {each.name for each in filters(resource)}
    yield _LISTS + "\n" + _parameters(each for each in lists(resource) if each.name not in own)
    beyond = (extensions.DRY_RUN, extensions.IDEMPOTENCY_KEY, extensions.IF_MATCH, extensions.IF_NONE_MATCH)
    yield _EXTENSIONS + "\n" + _parameters(beyond)


def _section(subject: Subject, settings: ApiSettings) -> str:
    parts = [f"## {subject.title}\n\n{subject.about}\n", _operations(subject.operations)]
    usual = {each.name for each in lists(subject.resource)} if subject.resource else set()
    own = {each.name: each for row in subject.operations for each in row.query if each.name not in usual}
    if own:
        parts.append(_parameters(own.values()))
    if subject.resource is not None:
        parts.append(_attributes(subject.resource, settings))
        parts += [f"### {each.item}\n\n{_attributes(each, settings)}" for each in _parts_of(subject.resource)]
    return "\n".join(parts)


def _parts_of(resource: Resource) -> list[Resource]:
    """What is nested in a resource and has no section of its own."""
    sections = [each.resource for each in SUBJECTS]
    inner = (each.kind.resource() for each in resource.attributes if isinstance(each.kind, Nested))
    return [each for each in inner if each not in sections]


def _operations(operations: Iterable[Operation]) -> str:
    rows = (
        (
            f"`{each.method} {each.path}`",
            each.summary,
            ", ".join(f"`{name.partition(':')[2]}`" for name in rules(each)),
            str(each.status),
            " ".join(str(status) for status in (each.also if each.open else errors(each)) if status >= 400),
            each.since or "Livia",
        )
        for each in operations
    )
    return _table(("operation", "what it does", "rules", "success", "refusals", "since"), rows)


def _parameters(parameters: Iterable[Parameter]) -> str:
    rows = (
        (
            f"`{each.name}`" + (" (header)" if each.where == "header" else ""),
            "name of an attribute" if each.name in ("fields", "sort_key") else _words(each.schema),
            each.since or "Livia",
            each.about,
        )
        for each in parameters
    )
    return _table(("parameter", "type", "since", "meaning"), rows)


def _attributes(resource: Resource, settings: ApiSettings) -> str:
    rows = (
        (
            f"`{each.name}`",
            _type(each),
            ("required" if each.required else "yes") if each.create else "",
            "yes" if each.update else "",
            _answer(each, resource),
            _default(each, settings),
            ", ".join(word for word, is_so in (("filter", each.filtered), ("sort", each.sorted)) if is_so),
            each.since,
            each.about,
        )
        for each in resource.attributes
    )
    return _table(("attribute", "type", "POST", "PUT", "answer", "default", "lists", "since", "meaning"), rows)


def _type(attribute: Attribute) -> str:
    kind = attribute.kind
    if attribute.shows == _REFERENCE and kind is not None:
        return "list of `{id}`; in requests a list of objects"
    if isinstance(kind, Nested):
        return f"{'list of' if kind.many else ''} `{kind.resource().item}`".strip()
    return _words(attribute.shows or {} if kind is None else kind.schema())


def _answer(attribute: Attribute, resource: Resource) -> str:
    if not attribute.shown:
        return ""
    return "if there is one" if attribute.name in resource.may_lack else "yes"


def _default(attribute: Attribute, settings: ApiSettings) -> str:
    if not attribute.create or attribute.required:
        return ""
    value = schemas.default_of(attribute, settings)
    note = f" [`{attribute.default.name}`]" if isinstance(attribute.default, Setting) else ""
    return "" if value is None else f"`{json.dumps(value)}`{note}"


def _words(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"] if each is not None)
    alternatives = schema.get("anyOf", ())
    if any(each.get("format") == "ipv4" for each in alternatives):
        return "IP address"
    if alternatives:
        return " or ".join(_words(each) for each in alternatives)
    kinds = [schema["type"]] if isinstance(schema["type"], str) else [each for each in schema["type"] if each != "null"]
    return _WORDS[kinds[0]](schema)


def _text(schema: Mapping[str, Any]) -> str:
    if schema.get("pattern") == schemas.TIME["pattern"]:
        return "time"
    if "format" in schema:
        return {"uuid": "UUID", "cidr": "network (CIDR)", "uri": "URL"}[schema["format"]]
    return f"text, ≤ {schema['maxLength']}" if "maxLength" in schema else "text"


def _integer(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most is None or most >= LARGEST_INTEGER:
        return "integer" if least is None or least < -LARGEST_INTEGER else f"integer ≥ {least}"
    return f"integer, {least} to {most}"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "string": _text,
    "integer": _integer,
    "boolean": lambda _schema: "boolean",
    "array": lambda schema: "list of `{id}`" if schema == _REFERENCE else f"list of {_words(schema['items'])}",
    "object": lambda schema: "object of text" if isinstance(schema.get("additionalProperties"), dict) else "object",
}


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    names = tuple(head)
    lines = (names, ("---",) * len(names), *rows)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
