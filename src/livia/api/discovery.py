"""The version discovery document (contract 00, section 2)."""

from typing import Any

import falcon
import msgspec

from livia.api.errors import JSON
from livia.services.settings import ApiSettings

#: when each minor version of v2 was published, from v2.0 on; clients take the last one as current
_UPDATED = (
    "2016-12-11T00:00:00Z",
    "2018-04-20T00:00:00Z",
    "2018-07-31T00:00:00Z",
    "2018-12-18T00:00:00Z",
    "2018-12-19T00:00:00Z",
    "2019-01-21T00:00:00Z",
    "2019-01-25T00:00:00Z",
    "2018-01-25T12:00:00Z",
    "2019-02-12T00:00:00Z",
    "2019-03-04T00:00:00Z",
    "2019-03-05T00:00:00Z",
    "2019-06-24T00:00:00Z",
    "2019-09-11T00:00:00Z",
    "2019-09-13T00:00:00Z",
    "2019-11-10T00:00:00Z",
    "2020-03-10T00:00:00Z",
    "2020-03-15T00:00:00Z",
    "2020-04-29T00:00:00Z",
    "2020-04-29T01:00:00Z",
    "2020-05-12T00:00:00Z",
    "2020-08-02T00:00:00Z",
    "2020-09-03T00:00:00Z",
    "2020-09-04T00:00:00Z",
    "2020-09-07T00:00:00Z",
    "2020-10-15T00:00:00Z",
    "2021-10-02T00:00:00Z",
    "2022-08-29T00:00:00Z",
    "2023-05-05T00:00:00Z",
    "2023-11-08T00:00:00Z",
    "2024-10-15T00:00:00Z",
    "2025-02-26T00:00:00Z",
)


def base(request: falcon.Request, settings: ApiSettings) -> str:
    """Scheme, host and mount point under which the client reached us; of proxies only where they are trusted."""
    if not settings.enable_proxy_headers_parsing:
        return request.prefix
    mounted = request.env.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/") or request.root_path
    return f"{request.forwarded_scheme}://{request.forwarded_host}{mounted}"


class Discovery:
    """GET / : every version, oldest first, all at the same address."""

    def __init__(self, settings: ApiSettings) -> None:
        self._settings = settings

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        href = f"{base(request, self._settings)}{request.context.path.rstrip('/')}/v2"
        response.content_type = JSON
        response.data = msgspec.json.encode({"versions": [_version(minor, href) for minor in range(len(_UPDATED))]})


class Version:
    """GET /v2 : the answer that upstream gives there."""

    def on_get(self, _request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = JSON
        response.data = b'"v2"'


def _version(minor: int, href: str) -> dict[str, Any]:
    return {
        "id": f"v2.{minor}",
        "status": "CURRENT" if minor == len(_UPDATED) - 1 else "SUPPORTED",
        "updated": _UPDATED[minor],
        "links": [{"href": href, "rel": "self"}],
    }
