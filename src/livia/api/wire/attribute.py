"""The declarative definition of a resource's attributes, and how a request body is read by it.

An attribute says once what POST and PUT accept, what null and omission mean, how it is shown, and whether
lists can be filtered and sorted by it. Everything that reads or writes the wire is driven by it.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from livia.api.wire.kinds import Boolean, Decimal, Integer, Kind
from livia.services.settings import ApiSettings


class Null(Enum):
    """What an explicit null means."""

    #: it is stored as null
    CLEAR = "clear"
    #: the attribute gets its default
    DEFAULT = "default"
    #: as if the attribute had not been sent
    OMIT = "omit"
    #: the attribute is mandatory
    REFUSE = "refuse"


class Setting(Struct, frozen=True):
    """A default that the deployment configures: the name of a field of `ApiSettings`."""

    name: str


class Nested(Struct, frozen=True):
    """An object of another resource inside this one, or with `many` a list of them.

    `as_given`: defaults are not filled in, because it may turn out to be a reference.
    """

    resource: Callable[[], "Resource"]
    many: bool = False
    as_given: bool = False


class InvalidBody(Exception):
    """A 400 of type validation. The text is the fault string."""


class Attribute(Struct, frozen=True, kw_only=True):
    """One attribute.

    `create`, `update`: POST and PUT accept it. `required`: POST must have it. `default`: what omission means on
    POST. `on_create_null`, `on_update_null`: what null means, a `Null` or the value itself. `shown`: it is in
    responses, made of the view's column `source` (its own name) by `render`. `filtered`: lists take it as a
    filter; `sorted`: as a sort key; both by the view's name. `since`: the API version that added it. `about`: a
    sentence for the reference, with the unit. `shows`: the JSON Schema of what responses show, where the rest does
    not tell.
    """

    name: str
    kind: Kind | Nested | None = None
    create: bool = False
    update: bool = False
    required: bool = False
    default: Any = None
    on_create_null: Any = Null.DEFAULT
    on_update_null: Any = Null.CLEAR
    shown: bool = True
    source: str | None = None
    render: Callable[[Any], Any] | None = None
    filtered: bool = False
    sorted: bool = False
    since: str = "2.0"
    about: str = ""
    shows: Mapping[str, Any] | None = None


class Resource(Struct, frozen=True, kw_only=True):
    """A resource. `argument`: what fault strings call the body of a request (contract 00, section 4).

    `update_argument`: the same of a PUT, where it differs. `finish` completes a shown object in place, where one
    attribute is made of several columns. `more_filters`: filter names beyond the attributes, and the view's names
    they mean. `may_lack`: attributes that responses leave out instead of showing null. `nested_without`,
    `nested_only`: attributes that it does not have inside another object, or only there.

    What differs from the usual only where clients have come to rely on it: `path`, the collection's word in URLs;
    `rule`, the resource's word in policy rules; `key`, the attribute that one object is addressed by; `more_links`,
    further names under which a list has its links.
    """

    item: str
    collection: str
    argument: str
    update_argument: str | None = None
    attributes: tuple[Attribute, ...]
    finish: Callable[[dict[str, Any]], None] | None = None
    more_filters: Mapping[str, str] = {}
    more_sorts: tuple[str, ...] = ()
    nested_without: frozenset[str] = frozenset()
    nested_only: frozenset[str] = frozenset()
    may_lack: frozenset[str] = frozenset()
    path: str = ""
    rule: str = ""
    key: str = "id"
    more_links: tuple[str, ...] = ()

    @property
    def url_word(self) -> str:
        """The collection in URLs."""
        return self.path or self.collection

    @property
    def rule_word(self) -> str:
        """The resource in names of policy rules."""
        return self.rule or self.item

    def accepting(self, method: str) -> dict[str, Attribute]:
        """Name to attribute, of those that `create`, `update` or (inside another object) `nested` accept."""
        if method == "update":
            return {each.name: each for each in self.attributes if each.update}
        leave = self.nested_without if method == "nested" else self.nested_only
        return {each.name: each for each in self.attributes if each.create and each.name not in leave}


Body: TypeAlias = dict[str, Any]


class Reader:
    """Reads the bodies of one resource. `method`: `create`, `update`, or `nested` for an object inside another."""

    def __init__(self, resource: Resource, method: str) -> None:
        self._attributes = resource.accepting(method)
        self._updating = method == "update"
        self._nested: dict[str, Reader] = {}
        self._required = tuple(each.name for each in self._attributes.values() if each.required)

    def given(self, body: Any, path: str) -> Body:
        """What the body sets, converted; no defaults. Raises `InvalidBody`."""
        if not isinstance(body, Mapping):
            raise InvalidBody(_invalid(path.rpartition(".")[2], body, "Value should be an object"))
        unknown = [name for name in body if name not in self._attributes]
        if unknown:
            plural = "s" if len(unknown) > 1 else ""
            raise InvalidBody(f"Unknown attribute{plural} for argument {path}: {', '.join(sorted(unknown))}")
        result: Body = {}
        for name, value in body.items():
            attribute = self._attributes[name]
            if value is None:
                self._null(attribute, result)
            elif isinstance(attribute.kind, Nested):
                result[name] = self._inner(attribute.kind, name, value, f"{path}.{name}")
            else:
                result[name] = _converted(attribute, value)
        return result

    def all_given(self, bodies: Any, path: str) -> list[Body]:
        """The same of each object of a list. Raises `InvalidBody`."""
        name = path.rpartition(".")[2]
        if not isinstance(bodies, list):
            raise InvalidBody(_invalid(name, bodies, "Value should be a list"))
        if not all(isinstance(each, Mapping) for each in bodies):
            raise InvalidBody(_invalid(name, bodies, "Value should be an object"))
        return [self.given(each, path) for each in bodies]

    def complete(self, given: Mapping[str, Any], settings: ApiSettings) -> Body:
        """What the request means: defaults in place of what it leaves out. Raises `InvalidBody`."""
        result = dict(given)
        for name in self._required:
            if name not in result:
                raise InvalidBody(_invalid(name, None, "Mandatory field missing."))
        for name, attribute in self._attributes.items():
            if name not in result or result[name] is Null.DEFAULT:
                result[name] = _default(attribute, settings)
            elif isinstance(attribute.kind, Nested) and not attribute.kind.as_given:
                result[name] = self._complete_inner(attribute.kind, name, result[name], settings)
        return result

    def _complete_inner(self, nested: Nested, name: str, value: Any, settings: ApiSettings) -> Any:
        reader = self._reader(nested, name)
        if nested.many:
            return [reader.complete(each, settings) for each in value]
        return None if value is None else reader.complete(value, settings)

    def changes(self, given: Mapping[str, Any], settings: ApiSettings) -> Body:
        """What an update changes: nulls that mean the default have it."""
        return {
            name: _default(self._attributes[name], settings) if value is Null.DEFAULT else value
            for name, value in given.items()
        }

    def _null(self, attribute: Attribute, result: Body) -> None:
        meaning = attribute.on_update_null if self._updating else attribute.on_create_null
        if meaning is Null.REFUSE:
            raise InvalidBody(_invalid(attribute.name, None, "Mandatory field missing."))
        if meaning is Null.CLEAR:
            result[attribute.name] = None
        elif meaning is Null.DEFAULT:
            # Left to `complete`: a required attribute is missing then.
            if not attribute.required:
                result[attribute.name] = Null.DEFAULT
        elif meaning is not Null.OMIT:
            result[attribute.name] = meaning

    def _inner(self, nested: Nested, name: str, value: Any, path: str) -> Any:
        reader = self._reader(nested, name)
        if not nested.many:
            return reader.given(value, path)
        return reader.all_given(value, path)

    def _reader(self, nested: Nested, name: str) -> "Reader":
        reader = self._nested.get(name)
        if reader is None:
            reader = self._nested[name] = Reader(nested.resource(), "update" if self._updating else "nested")
        return reader


def _default(attribute: Attribute, settings: ApiSettings) -> Any:
    if isinstance(attribute.default, Setting):
        return getattr(settings, attribute.default.name)
    if isinstance(attribute.default, list | dict):
        return attribute.default.copy()
    return attribute.default


def _converted(attribute: Attribute, value: Any) -> Any:
    assert attribute.kind is not None  # noqa: S101 - what a request can set has a kind
    assert not isinstance(attribute.kind, Nested)  # noqa: S101 - handled by the caller
    try:
        return attribute.kind.convert(value)
    except ValueError as error:
        raise InvalidBody(_invalid(attribute.name, value, str(error))) from error


def _invalid(name: str, value: Any, reason: str) -> str:
    return f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}"


def filter_value(attribute: Attribute, text: str) -> Any:
    """A filter's text as the column's value. Raises ValueError when nothing can equal it."""
    if isinstance(attribute.kind, Boolean):
        return text.lower() in ("1", "t", "true", "on", "y", "yes")
    if isinstance(attribute.kind, Integer):
        return Integer(None, attribute.kind.most).convert(text)
    if isinstance(attribute.kind, Decimal):
        return attribute.kind.convert(text)
    return text
