"""From a view's rows to response objects: prepared once a resource, so that a list costs little a row."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from livia.api.wire.attribute import Resource


class Shape:
    """How one resource looks in responses. `names`: the view's columns, in order."""

    def __init__(self, resource: Resource, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._renders: tuple[tuple[str, Callable[[Any], Any]], ...] = tuple(
            (each.name, each.render) for each in resource.attributes if each.shown and each.render is not None
        )
        self._aliases = tuple((each.name, each.source) for each in resource.attributes if each.shown and each.source)
        self._finish = resource.finish

    def object(self, row: Iterable[Any]) -> dict[str, Any]:
        """The response object of the values of a view."""
        result = dict(zip(self._names, row, strict=True))
        for name, render in self._renders:
            result[name] = render(result[name])
        for name, source in self._aliases:
            result[name] = result[source]
        if self._finish is not None:
            self._finish(result)
        return result

    def objects(self, rows: Iterable[Iterable[Any]]) -> list[dict[str, Any]]:
        """The response objects of a view's page."""
        return [self.object(row) for row in rows]
