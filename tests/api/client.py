"""A client that calls the WSGI application as a server would, without a socket."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from msgspec import Struct

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Answer(Struct, frozen=True):
    """A response. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fault(self) -> str:
        """The fault string of the standard error shape, whose other keys are checked here."""
        shape = self.json
        assert set(shape) == {"faultcode", "faultstring", "debuginfo"}, shape
        assert shape["faultcode"] == ("Client" if self.status < 500 else "Server")
        assert shape["debuginfo"] is None
        text: str = shape["faultstring"]
        return text


class Client:
    """Calls an application. Paths are relative to `root`, but for those that name the version."""

    def __init__(self, app: App, *, root: str = "/v2/lbaas", headers: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._root = root
        self._headers = dict(headers or {})

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any, **query: Any) -> Answer:
        return self.request("POST", path, body, query=query)

    def put(self, path: str, body: Any = None, **query: Any) -> Answer:
        return self.request("PUT", path, body, query=query)

    def delete(self, path: str, **query: Any) -> Answer:
        return self.request("DELETE", path, query=query)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | str = "",
        headers: Mapping[str, str] | None = None,
        root: str | None = None,
        environ: Mapping[str, Any] | None = None,
    ) -> Answer:
        """One request. A body that is not bytes is sent as JSON."""
        default = "" if path.startswith("/v2/") else self._root
        path, _mark, asked = ((default if root is None else root) + path).partition("?")
        text = query if isinstance(query, str) else urlencode(query, doseq=True)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data else {}
        sent.update(self._headers, **(headers or {}))
        return self._call(
            {
                "REQUEST_METHOD": method,
                "SCRIPT_NAME": "",
                "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
                "QUERY_STRING": "&".join(part for part in (asked, text) if part),
                "SERVER_NAME": "lb.example.net",
                "SERVER_PORT": "9876",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "HTTP_HOST": "lb.example.net:9876",
                "CONTENT_LENGTH": str(len(data)),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(data),
                "wsgi.errors": io.StringIO(),
                **{_variable(name): value for name, value in sent.items()},
                **(environ or {}),
            }
        )

    def _call(self, environ: dict[str, Any]) -> Answer:
        seen: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _info: Any = None) -> None:
            seen.update(status=int(status.split(" ", 1)[0]), headers={name.lower(): value for name, value in headers})

        body = b"".join(self._app(environ, start_response))
        return Answer(seen["status"], seen["headers"], body)


def _variable(name: str) -> str:
    name = name.upper().replace("-", "_")
    return name if name == "CONTENT_TYPE" else f"HTTP_{name}"
