"""Query strings: filters, tags, order, pages and fields of lists (contract 00, sections 9 and 10)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import falcon
from msgspec import Struct

from livia.api.errors import BAD_ARGUMENTS
from livia.api.wire.attribute import Attribute, Resource, filter_value
from livia.services.context import Refused
from livia.services.settings import ApiSettings
from livia.store.view import Page, TagFilter

_TAGS = {"tags": "every", "tags-any": "some", "not-tags": "not_every", "not-tags-any": "none"}
_SPECIAL = frozenset({"fields", "limit", "marker", "page_reverse", "sort", "sort_key", "sort_dir", *_TAGS})
_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})


class Question(Struct, frozen=True, kw_only=True):
    """A list request. `page` is None when nothing can match; `fields` None: all of them."""

    page: Page | None
    fields: frozenset[str] | None = None
    pairs: tuple[tuple[str, str], ...] = ()


def parameters(request: falcon.Request) -> list[tuple[str, str]]:
    """The query's names and values, in order."""
    if not request.query_string:
        return []
    # PostgreSQL takes no NUL character: what replaces it equals nothing either.
    text = request.query_string.replace("%00", "%EF%BF%BD").replace("\x00", "\ufffd")
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def refuse_unknown(request: falcon.Request, known: Iterable[str] = ()) -> dict[str, str]:
    """The query of a write, which has only these names. Raises the 400."""
    found = parameters(request)
    for name, _value in found:
        if name not in known:
            raise Refused(400, f'Unknown argument: "{name}"')
    return dict(found)


def is_true(text: str | None) -> bool:
    """Whether a query value is one of the spellings of true."""
    return text is not None and text.lower() in _TRUE


def fields_of(request: falcon.Request) -> frozenset[str] | None:
    """The `fields` that a response is reduced to."""
    if not request.query_string:
        return None
    wanted = [value for name, value in parameters(request) if name == "fields"]
    return frozenset(each for value in wanted for each in value.split(",")) if wanted else None


def only(entry: dict[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    """The object with the requested keys."""
    return entry if fields is None else {name: value for name, value in entry.items() if name in fields}


class Lists:
    """Understands list requests of one resource."""

    def __init__(self, resource: Resource, settings: ApiSettings) -> None:
        self._settings = settings
        self._attributes: dict[str, Attribute] = {each.name: each for each in resource.attributes}
        self._filters: dict[str, str] = {each.name: each.name for each in resource.attributes if each.filtered}
        self._filters.update(resource.more_filters)
        self._sorts = {each.name for each in resource.attributes if each.sorted} | set(resource.more_sorts)
        self._tagged = "tags" in self._attributes
        self._largest = _largest(settings.pagination_max_limit)

    def question(self, request: falcon.Request) -> Question:
        """What the request asks for. Raises the 400s."""
        pairs = parameters(request)
        if not pairs:
            return Question(page=Page(limit=self._largest if self._settings.allow_pagination else None))
        by_name: dict[str, list[str]] = defaultdict(list)
        for name, value in pairs:
            by_name[name].append(value)
        where = self._where({name: values for name, values in by_name.items() if name not in _SPECIAL})
        page = Page(
            where=where or (),
            # Where objects have no tags, filters by them are ignored (contract 60, section 2).
            tags=self._tags(by_name) if self._tagged else TagFilter(),
            sort=self._sort(by_name) if self._settings.allow_sorting else (),
            **self._paging(by_name),
        )
        return Question(
            page=None if where is None else page,
            fields=fields_of(request) if self._settings.allow_field_selection else None,
            pairs=tuple(pairs),
        )

    def _where(self, given: Mapping[str, list[str]]) -> tuple[tuple[str, Any], ...] | None:
        """Names of the view and their values; None when nothing can match."""
        if not self._settings.allow_filtering:
            return ()
        conditions: list[tuple[str, Any]] = []
        possible = True
        for name, values in given.items():
            column = self._filters.get(name)
            if column is None or len(values) > 1:
                raise Refused(400, BAD_ARGUMENTS)
            try:
                conditions.append((column, self._value(name, values[0])))
            except ValueError:
                possible = False
            possible = possible and column != ""
        return tuple(conditions) if possible else None

    def _value(self, name: str, text: str) -> Any:
        attribute = self._attributes.get(name)
        return text if attribute is None else filter_value(attribute, text)

    @staticmethod
    def _tags(given: Mapping[str, list[str]]) -> TagFilter:
        chosen = {
            field: tuple(tag for value in given.get(name, ()) for tag in value.split(","))
            for name, field in _TAGS.items()
        }
        return TagFilter(**chosen)

    def _sort(self, given: Mapping[str, list[str]]) -> tuple[tuple[str, bool], ...]:
        if "sort" in given:
            order = [self._pair(each) for value in given["sort"] for each in value.split(",")]
        else:
            keys = [each for value in given.get("sort_key", ()) for each in value.split(",")]
            directions = [each for value in given.get("sort_dir", ()) for each in value.split(",")]
            directions += ["asc"] * (len(keys) - len(directions))
            order = list(zip(keys, directions, strict=False))
        return tuple((self._key(key), _descending(direction)) for key, direction in order)

    @staticmethod
    def _pair(text: str) -> tuple[str, str]:
        key, colon, direction = text.partition(":")
        if ":" in direction:
            raise Refused(400, f"Supplied sort key '{text}' is not valid.")
        return key, direction if colon else "asc"

    def _key(self, name: str) -> str:
        if name not in self._sorts:
            raise Refused(400, f"Supplied sort key '{name}' is not valid.")
        return name

    def _paging(self, given: Mapping[str, list[str]]) -> dict[str, Any]:
        if not self._settings.allow_pagination:
            return {}
        marker = given["marker"][-1] if "marker" in given else None
        return {
            "limit": _limit(given["limit"][-1], self._largest) if "limit" in given else self._largest,
            "marker": marker,
            "backwards": marker is not None and given.get("page_reverse", [""])[-1] == "True",
        }


def links(href: str, question: Question, keys: Sequence[str]) -> list[dict[str, str]]:
    """Where the pages before and after are, with every parameter of the request (contract 00, section 10.4)."""
    page = question.page
    if page is None or not keys:
        return []
    kept = [(name, value) for name, value in question.pairs if name not in ("marker", "page_reverse")]
    if page.limit is not None and not any(name == "limit" for name, _value in kept):
        kept.append(("limit", str(page.limit)))
    found = []
    if page.marker is not None:
        query = urlencode([*kept, ("marker", keys[0]), ("page_reverse", "True")])
        found.append({"rel": "previous", "href": f"{href}?{query}"})
    if page.limit is not None and len(keys) >= page.limit:
        found.append({"rel": "next", "href": f"{href}?{urlencode([*kept, ('marker', keys[-1])])}"})
    return found


def _descending(direction: str) -> bool:
    if direction.lower() not in ("asc", "desc"):
        raise Refused(400, f"Supplied sort direction '{direction}' is not valid.")
    return direction.lower() == "desc"


def _largest(text: str) -> int | None:
    """`pagination_max_limit`; None: no maximum."""
    if text == "infinite":
        return None
    number = int(text)
    return number if number > 0 else None


def _limit(text: str, largest: int | None) -> int | None:
    if text == "infinite":
        return None
    try:
        number = int(text)
    except ValueError as error:
        raise Refused(400, f"Supplied pagination limit '{text}' is not valid.") from error
    if number <= 0:
        return None
    return number if largest is None else min(number, largest)
