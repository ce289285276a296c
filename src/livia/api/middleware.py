"""What happens before and after every request: size, path, request id, content negotiation, caller."""

import re
from typing import Any

import falcon
from falcon import mediatypes

from livia.api.auth import Authenticator
from livia.api.errors import JSON
from livia.services.context import new_request_id
from livia.services.settings import ApiSettings

_VERSIONED = re.compile(r"/v2(?:\.0)?(?P<branch>/lbaas|/octavia)?(?P<rest>/.*)?", re.DOTALL)
#: how routes begin, which is not how addresses do
_BRANCHES = ("lbaas", "octavia")
#: an element of Accept (RFC 9110, section 12.5.1); what is none is taken for "anything"
_MEDIA_RANGE = re.compile(r"\s*[^\s/;,]+/[^\s/;,]+\s*(;[^,]*)?")
#: paths that need no token and are not negotiated as JSON
_OPEN = frozenset({"/", "/healthcheck", "/openapi"})
#: what is found below /v2 without "lbaas" as well (contract 00, section 1)
_RESOURCES = frozenset(
    {
        "loadbalancers",
        "listeners",
        "pools",
        "healthmonitors",
        "l7policies",
        "quotas",
        "providers",
        "flavors",
        "flavorprofiles",
        "availabilityzones",
        "availabilityzoneprofiles",
    }
)


class TooLarge(falcon.HTTPError):
    """413, the one answer in plain text."""

    def __init__(self) -> None:
        super().__init__(falcon.HTTP_413)


class Middleware:
    """Prepares a request: `context.request_id`, `context.path` (as asked), `context.caller`."""

    def __init__(self, settings: ApiSettings, authenticator: Authenticator) -> None:
        self._largest = settings.max_request_body_size
        self._prefix = settings.mount_prefix.rstrip("/")
        self._authenticator = authenticator

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Runs before routing, so that one route serves every alias of a path."""
        context = request.context
        context.request_id = new_request_id()
        response.set_header("x-openstack-request-id", context.request_id)
        context.path = request.path
        if (request.content_length or 0) > self._largest:
            raise TooLarge
        request.path = canonical(request.path, self._prefix)
        # Browsers ask what they may do without saying who they are.
        if request.path in _OPEN or request.method == "OPTIONS":
            return
        context.caller = self._authenticator.authenticate(request, context.request_id)
        if not _accepts_json(request):
            raise falcon.HTTPNotAcceptable(description=f"The service only answers in {JSON}.")

    def process_response(
        self, _request: falcon.Request, response: falcon.Response, _resource: Any, _succeeded: bool
    ) -> None:
        """An answer without a body says so."""
        if response.data is None and response.text is None and response.status_code in (200, 202, 204):
            response.set_header("Content-Length", "0")


def canonical(path: str, prefix: str) -> str:
    """The path that routes know: without mount prefix, alias, trailing slash and `.json`."""
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    if len(path) > 1 and path.endswith("/"):
        path = path.rstrip("/")
    path = path.removesuffix(".json") or "/"
    found = _VERSIONED.fullmatch(path)
    if found is None:
        # No route begins with a version.
        return f"/v2{path}" if path.lstrip("/").startswith(_BRANCHES) else path
    rest = found["rest"] or ""
    branch = found["branch"]
    if branch is None and rest and rest.split("/", 2)[1] not in _RESOURCES:
        return path
    # The branches are one until something follows.
    return f"{branch or '/lbaas'}{rest}" if rest else "/lbaas"


def _accepts_json(request: falcon.Request) -> bool:
    accept = request.env.get("HTTP_ACCEPT")
    if not accept or accept in ("*/*", JSON):
        return True
    # Types are compared without regard to case (RFC 9110, section 8.3.1).
    ranges = [each for each in accept.lower().split(",") if _MEDIA_RANGE.fullmatch(each)]
    try:
        return not ranges or bool(mediatypes.best_match((JSON,), ",".join(ranges)))
    except ValueError:
        return True
