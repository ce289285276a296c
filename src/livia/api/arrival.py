"""What stands between a web server and the application: bodies arrive before anything is done about them."""

from collections.abc import Callable, Iterable
from io import BytesIO
from queue import SimpleQueue
from typing import Any, TypeAlias

from livia.api.errors import JSON, fault_body

#: PEP 3333
Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
#: seconds after which it is worth to ask again whether the API has started
_RETRY_AFTER = "5"


def whole_bodies(app: Wsgi, largest: int) -> Wsgi:
    """`app`, called when the body is here, however it was sent: it has its length, and need not wait for it.

    A body of more than `largest` bytes is not read further; its length still says that it is too large.
    """

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and 0 < int(length) <= largest:
            _arrive(environ, int(length))
        elif "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
            # In chunks (RFC 9112, section 7.1), and the server knows where they end.
            _arrive(environ, largest + 1)
        return app(environ, start_response)

    return call


def in_turn(app: Wsgi, at_once: int) -> Wsgi:
    """`app`, called by no more than `at_once` threads at a time: others wait. Its answers must be complete."""
    turns: SimpleQueue[None] = SimpleQueue()
    for _ in range(at_once):
        turns.put(None)

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        turns.get()
        try:
            return app(environ, start_response)
        finally:
            turns.put(None)

    return call


def leaving(app: Wsgi, is_leaving: Callable[[], bool]) -> Wsgi:
    """`app`, whose answers close their connections once `is_leaving` (RFC 9112, section 9.6)."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if is_leaving():
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, *error)

        return app(environ, start)

    return call


def unavailable(reason: Callable[[], str]) -> Wsgi:
    """Answers in place of an application that could not start; `reason` says why, as far as that is known."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        told = reason()
        text = f"The API cannot start, and is started again and again. {told}" if told else "The API is starting."
        body = fault_body(503, text)
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            ("Retry-After", _RETRY_AFTER),
            # The next request is to meet the API, if that is up then.
            ("Connection", "close"),
        ]
        start_response("503 Service Unavailable", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return call


def _arrive(environ: dict[str, Any], limit: int) -> None:
    body = environ["wsgi.input"].read(limit)
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
