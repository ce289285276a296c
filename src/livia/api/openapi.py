"""The OpenAPI 3.1 document, made of the same definitions that read and write the wire."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from livia.api import policy
from livia.api.errors import JSON
from livia.api.operations import SUBJECTS
from livia.api.wire import extensions, schemas
from livia.api.wire.attribute import Resource
from livia.api.wire.operation import Operation, Parameter, Subject, closed
from livia.api.wire.schemas import Schema, ref
from livia.services.settings import ApiSettings

_ABOUT = """\
The OpenStack Load Balancer API, versions 2.0 to 2.30. `x-since` tells the version that added something; the service
always speaks the newest. `x-livia` marks what only this service has. `x-policy-rules` names the rules that decide who
may do it.

Every path below `/v2/lbaas` is also found below `/v2.0/lbaas`. Schemas say what to send. Besides, numerals are taken
for integers, and `yes`, `on`, `1` and the like for booleans. A change is answered when it is stored: the
`provisioning_status` turns `ACTIVE` once the data plane has it.
"""
_TEXT: Schema = {"type": "string"}
_FAULT = {
    **closed(
        faultcode={"type": "string", "enum": ["Client", "Server"]},
        faultstring={"type": "string", "description": "What is wrong, in a sentence."},
        debuginfo={"type": "null"},
    ),
    "description": "An error.",
}
_ROUTING = {
    **closed(code={"type": "integer"}, title=_TEXT, description=_TEXT),
    "description": "An error of the path, the method or the form of the answer.",
}
_UNAUTHORIZED = closed(error=closed(code={"type": "integer"}, title=_TEXT, message=_TEXT))
_LINK = closed(rel={"type": "string", "enum": ["next", "previous"]}, href={"type": "string", "format": "uri"})
_HEADERS: Mapping[str, tuple[Schema, str]] = {
    "RequestId": ({"type": "string", "pattern": "^req-"}, "Finds the request in the log."),
    "ETag": ({"type": "string", "pattern": '^"'}, "The version of the object, for `If-Match` and `If-None-Match`."),
    "Replayed": ({"type": "string", "enum": ["true"]}, "The answer is the one to an earlier, equal request."),
}
#: the schema of an error's body, and when it is answered (contract 00, section 6.3)
_ERRORS: Mapping[int, tuple[Schema, str]] = {
    400: (ref("Fault"), "Something in the request is not valid."),
    401: (ref("Unauthorized"), "There is no valid token."),
    403: (ref("Fault"), "Policy does not allow it, or a quota is used up."),
    404: ({"anyOf": [ref("Fault"), ref("RoutingError")]}, "There is no such object or path."),
    406: (ref("RoutingError"), "`Accept` leaves out JSON."),
    409: (ref("Fault"), "Something stands in the way: a change under way, or an object that exists."),
    412: (ref("Fault"), "The object has changed: its ETag is not the one that `If-Match` names."),
    413: (_TEXT, "The request body is too large."),
    415: (ref("Fault"), "The request body is not JSON."),
    422: (ref("Fault"), "The `Idempotency-Key` came with another request before."),
    500: (ref("Fault"), "The service or the provider failed."),
    501: (ref("Fault"), "The provider cannot do it."),
    503: (ref("Fault"), "The database or another service did not answer."),
}


def document(settings: ApiSettings) -> dict[str, Any]:
    """The whole document, but for `servers`. Defaults are those of the deployment."""
    paths: dict[str, dict[str, Any]] = {}
    for subject in SUBJECTS:
        for each in subject.operations:
            entry = paths.setdefault(each.path, _path(each.path))
            entry[each.method.lower()] = _operation(each, subject)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Livia: Load Balancer API", "version": "2.30", "description": _ABOUT},
        "tags": [{"name": each.title, "description": each.about} for each in SUBJECTS],
        "security": [{"token": []}, {"basic": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _schemas(settings),
            "responses": {_response_name(status): _error(status) for status in _ERRORS},
            "headers": {name: {"description": about, "schema": schema} for name, (schema, about) in _HEADERS.items()},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _path(path: str) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    found = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    return {"parameters": found} if found else {}


def _operation(operation: Operation, subject: Subject) -> dict[str, Any]:
    result: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [subject.title],
        **_since(operation.since),
        "responses": _responses(operation),
    }
    if operation.rules:
        result["x-policy-rules"] = rules(operation)
    parameters = (*operation.query, *extensions.parameters(operation))
    if parameters:
        result["parameters"] = [_parameter(each) for each in parameters]
    if operation.takes is not None:
        result["requestBody"] = {"required": True, "content": {JSON: {"schema": operation.takes}}}
    if operation.open:
        result["security"] = []
    return result


def rules(operation: Operation) -> list[str]:
    """The full names of the policy rules that are asked."""
    return [policy.rule(*each.split(":", 1)) for each in operation.rules]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": parameter.schema} if parameter.repeated else parameter.schema
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "schema": schema,
        **_since(parameter.since),
    }


def _since(version: str | None) -> dict[str, Any]:
    return {"x-livia": True} if version is None else {"x-since": version}


def _responses(operation: Operation) -> dict[str, Any]:
    named = _headers(**extensions.headers(operation))
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase, "headers": named}
    if operation.shows is not None:
        success["content"] = {JSON: {"schema": operation.shows}}
    result = {str(operation.status): success}
    for status, bodies in operation.also.items():
        response = result.setdefault(str(status), {"description": HTTPStatus(status).phrase, "headers": _headers()})
        if bodies:
            response.setdefault("content", {}).update({kind: {"schema": schema} for kind, schema in bodies.items()})
    if extensions.has_etag(operation) and operation.method == "GET":
        result["304"] = {"description": "`If-None-Match` names what it still is.", "headers": named}
    for status in () if operation.open else errors(operation):
        result[str(status)] = {"$ref": f"#/components/responses/{_response_name(status)}"}
    return result


def errors(operation: Operation) -> list[int]:
    """The statuses besides success that an authenticated operation may answer with."""
    writes = operation.method not in ("GET", "HEAD")
    found = {401, 406, 500, 503}
    if operation.rules:
        found.add(403)
    if "{" in operation.path:
        found.add(404)
    # Showing one object ignores what it does not know in the query.
    if writes or (operation.query and not extensions.has_etag(operation)):
        found.add(400)
    if operation.takes is not None:
        found |= {413, 415}
    if writes:
        found |= {404, 409, 501} | extensions.refusals(operation)
    return sorted(found)


def _response_name(status: int) -> str:
    return HTTPStatus(status).name.title().replace("_", "")


def _error(status: int) -> dict[str, Any]:
    schema, when = _ERRORS[status]
    content = "text/plain" if schema is _TEXT else JSON
    return {"description": when, "headers": _headers(), "content": {content: {"schema": schema}}}


def _headers(**named: str) -> dict[str, Any]:
    return {
        name: {"$ref": f"#/components/headers/{component}"}
        for name, component in {"x-openstack-request-id": "RequestId", **named}.items()
    }


def _schemas(settings: ApiSettings) -> dict[str, Schema]:
    named: dict[str, Schema] = {
        "Fault": _FAULT,
        "RoutingError": _ROUTING,
        "Unauthorized": _UNAUTHORIZED,
        "Link": _LINK,
    }
    for subject in SUBJECTS:
        if subject.resource is not None:
            complete = schemas.shown(subject.resource)
            named[schemas.component(subject.resource)] = complete
            named[f"{schemas.component(subject.resource)}Fields"] = {
                key: value for key, value in complete.items() if key != "required"
            }
            _add(named, _methods(subject.operations, subject.resource), settings)
        named.update(subject.schemas)
    return named


def _methods(operations: Iterable[Operation], resource: Resource) -> list[tuple[Resource, str]]:
    """The schemas of a resource's requests."""
    used = {each.method for each in operations if each.takes is not None}
    return [(resource, method) for verb, method in (("POST", "create"), ("PUT", "update")) if verb in used]


def _add(named: dict[str, Schema], wanted: Iterable[tuple[Resource, str]], settings: ApiSettings) -> None:
    """Name the schemas, and those that they refer to."""
    for resource, method in wanted:
        name = schemas.component(resource, method)
        if name not in named:
            named[name] = schemas.taken(resource, method, settings) if method else schemas.shown(resource)
            _add(named, schemas.nested_in(resource), settings)
