"""The agent's HTTP interface (design, section 7), as a WSGI application."""

from typing import Any

import falcon
import msgspec
import structlog

from livia.agent.credentials import AgentCredentials, CertificateRefusedError
from livia.agent.errors import InvalidSpecError, RefusalError
from livia.agent.host import Host
from livia.agent.registry import Registry
from livia.core.credentials import Renewal
from livia.core.report import Applied, Refused
from livia.core.spec import SPEC_VERSION, Assignment
from livia.core.trace import HEADERS, is_id

log = structlog.get_logger()

#: bytes of a spec: some 20,000 members
LARGEST_BODY = 8 * 1024 * 1024

_assignments = msgspec.json.Decoder(Assignment)
_renewals = msgspec.json.Decoder(Renewal)


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `GET /v1/info`."""

    name: str
    spec_version: int
    haproxy_version: str
    amphorae: int
    capacity: int
    availability_zone: str | None


class _Trace:
    """Binds the controller's ids to this thread's log, and tells of each change."""

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        structlog.contextvars.clear_contextvars()
        given = {name: request.get_header(header) or "" for name, header in HEADERS.items()}
        structlog.contextvars.bind_contextvars(**{name: text for name, text in given.items() if is_id(text)})

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        if request.method != "GET":
            log.info("request", method=request.method, path=request.path, status=response.status_code)


class _AmphoraResource:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def on_put(self, request: falcon.Request, response: falcon.Response, amphora_id: str) -> None:
        body = request.bounded_stream.read(LARGEST_BODY + 1)
        try:
            assignment = _assignments.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidSpecError(f"The body is no assignment: {error}.") from error
        _answer(response, self._registry.apply(amphora_id, assignment))

    def on_get(self, request: falcon.Request, response: falcon.Response, amphora_id: str) -> None:
        applied = self._registry.observe(amphora_id)
        if applied is None:
            raise RefusalError("not_found", f"There is no amphora {amphora_id[:80]!r} here.", status=404)
        _answer(response, applied)

    def on_delete(self, request: falcon.Request, response: falcon.Response, amphora_id: str) -> None:
        try:
            fence = int(request.get_param("fence") or "0")
        except ValueError as error:
            raise InvalidSpecError("The fence is no number.") from error
        self._registry.remove(amphora_id, fence)
        response.status = falcon.HTTP_204


class _AmphoraeResource:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        found: list[Applied] = []
        for amphora in self._registry.all():
            applied = self._registry.observe(amphora.id)
            if applied is not None:
                found.append(applied)
        _answer(response, found)


class _InventoryResource:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        _answer(response, self._registry.inventory())


class _InfoResource:
    def __init__(self, host: Host, registry: Registry) -> None:
        self._host = host
        self._registry = registry

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        config = self._host.config
        _answer(
            response,
            Info(
                name=config.name,
                spec_version=SPEC_VERSION,
                haproxy_version=self._host.haproxy_version,
                amphorae=len(self._registry.all()),
                capacity=config.capacity,
                availability_zone=config.availability_zone,
            ),
        )


class _CertificateResource:
    def __init__(self, credentials: AgentCredentials) -> None:
        self._credentials = credentials

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        _answer(response, self._credentials.now())

    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        try:
            renewal = _renewals.decode(request.bounded_stream.read(LARGEST_BODY + 1))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Without what it said: that may be a part of a key.
            raise CertificateRefusedError("The body is no renewal of a certificate.") from error
        _answer(response, self._credentials.renew(renewal))


class _MetricsResource:
    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.content_type = "text/plain; version=0.0.4; charset=utf-8"
        response.data = self._host.metrics.text()


def application(host: Host, registry: Registry, credentials: AgentCredentials) -> "falcon.App[Any, Any]":
    """The WSGI application over one agent's amphorae."""

    def refuse(
        _request: falcon.Request, response: falcon.Response, error: RefusalError, parameters: dict[str, Any]
    ) -> None:
        amphora_id = parameters.get("amphora_id", "")
        refused = Refused(
            code=error.code,
            message=error.message,
            details=error.details,
            running_generation=registry.running_generation(amphora_id),
        )
        response.status = falcon.code_to_http_status(error.status)
        _answer(response, refused)

    app: falcon.App[Any, Any] = falcon.App(middleware=[_Trace()])
    app.add_error_handler(RefusalError, refuse)
    app.add_route("/v1/amphorae", _AmphoraeResource(registry))
    app.add_route("/v1/amphorae/{amphora_id}", _AmphoraResource(registry))
    app.add_route("/v1/inventory", _InventoryResource(registry))
    app.add_route("/v1/info", _InfoResource(host, registry))
    app.add_route("/v1/certificate", _CertificateResource(credentials))
    app.add_route("/metrics", _MetricsResource(host))
    return app


def _answer(response: falcon.Response, value: object) -> None:
    response.content_type = "application/json"
    response.data = msgspec.json.encode(value)
