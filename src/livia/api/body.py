"""Reading request bodies (contract 00, sections 3 and 4)."""

from typing import Any
from urllib.parse import parse_qsl

import falcon
import msgspec

from livia.api.errors import JSON
from livia.services.context import Refused

_FORM = "application/x-www-form-urlencoded"


def wrapped(request: falcon.Request, argument: str, wrapper: str) -> Any:
    """What the body has under its wrapper key. Raises `Refused`."""
    root = _root(request, argument)
    if not isinstance(root, dict):
        raise Refused(400, f"Invalid input for field/attribute {argument}. Value: '{root}'. Value should be an object")
    unknown = [key for key in root if key != wrapper]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise Refused(400, f"Unknown attribute{plural} for argument {argument}: {', '.join(sorted(unknown))}")
    value = root.get(wrapper)
    if value is None:
        raise Refused(400, f"No {wrapper} object supplied.")
    return value


def read(request: falcon.Request) -> bytes:
    """The body as it was sent. The stream can be read once: what it had is kept with the request."""
    data: bytes | None = getattr(request.context, "body", None)
    if data is None:
        data = request.context.body = request.bounded_stream.read()
    return data


def _root(request: falcon.Request, argument: str) -> Any:
    data = read(request)
    if not data:
        raise Refused(400, f'Missing argument: "{argument}"')
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    if kind == _FORM:
        pairs = parse_qsl(data.decode("utf-8", "replace"), keep_blank_values=True)
        raise Refused(400, f'Unknown argument: "{pairs[0][0] if pairs else ""}"')
    if kind != JSON:
        raise Refused(415, f"Unknown mimetype: {kind}")
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "Request is not in valid JSON format") from error
