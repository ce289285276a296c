"""Entity tags of single objects (RFC 9110, sections 8.8.3 and 13.1): ours, beyond the contract.

A tag is made of what GET answers, so it changes with every attribute and status that a client can see.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import falcon

from livia.api import query
from livia.services.context import Refused
from livia.store.engine import Database

Responder: TypeAlias = Callable[..., None]

#: an element of If-Match and If-None-Match (RFC 9110, section 8.8.3)
_TAG = re.compile(r'(W/)?("[^"]*")')


def tag(body: bytes) -> str:
    """The tag of a representation."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def tagged(show: Responder) -> Responder:
    """The `on_get` of a single object with ETag, and 304 for a client that has the same already."""

    def on_get(request: falcon.Request, response: falcon.Response, **params: Any) -> None:
        show(request, response, **params)
        if query.fields_of(request) is not None:
            # A part of an object does not tell whether the rest has changed.
            return
        own = tag(response.data or b"")
        response.set_header("ETag", own)
        asked = request.env.get("HTTP_IF_NONE_MATCH")
        if asked is not None and _names(asked, own, weakly=True):
            response.status = falcon.HTTP_304
            response.data = None
            response.delete_header("Content-Type")

    return on_get


class Condition:
    """The `If-Match` of one write."""

    def __init__(self, text: str, show: Responder | None) -> None:
        self._text = text
        self._show = show

    def require(self, database: Database, request: falcon.Request, params: dict[str, Any]) -> None:
        """Raise the 412, inside the unit that has just written.

        Its row locks keep the object as others committed it, and that is what the change was made from: nobody can
        come between this comparison and the commit. (RFC 9110, section 13.2.1: other refusals come first.)
        """
        with database.apart():
            own = self._own(request, params)
        if not _names(self._text, own, weakly=False):
            raise Refused(412, f"If-Match names {self._text}, but the ETag is {own}: it has changed. Nothing was done.")

    def tell(self, request: falcon.Request, response: falcon.Response, params: dict[str, Any]) -> None:
        """An answer that shows the object has the tag that it has from now on."""
        if response.data is not None:
            response.set_header("ETag", self._own(request, params))

    def _own(self, request: falcon.Request, params: dict[str, Any]) -> str:
        if self._show is None:
            raise Refused(412, "Only a single object has an ETag that If-Match could name. Nothing was done.")
        shown = falcon.Response()
        self._show(request, shown, **params)
        return tag(shown.data or b"")


def _names(text: str, own: str, *, weakly: bool) -> bool:
    """Whether a list of tags, or `*`, names this one."""
    if text.strip() == "*":
        return True
    return any(opaque == own and (weakly or not weak) for weak, opaque in _TAG.findall(text))
