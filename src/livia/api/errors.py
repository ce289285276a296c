"""Errors as clients see them (contract 00, section 6)."""

import re
from http import HTTPStatus
from typing import Any

import falcon
import msgspec
import structlog
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from livia.api.auth import Unauthorized
from livia.api.wire.attribute import InvalidBody
from livia.core.drivers import DriverError
from livia.services.context import Refused
from livia.store.engine import lost_race

log = structlog.get_logger()

JSON = "application/json"
#: the id that a request has in another service's log (contract 00, section 15)
_GLOBAL_REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: 400 of filters, whatever is wrong with them (contract 00, section 10.2)
BAD_ARGUMENTS = "One or more arguments are either duplicate or invalid"


def fault(response: falcon.Response, status: int, text: str) -> None:
    """The standard shape."""
    response.status = HTTPStatus(status)
    response.content_type = JSON
    response.data = fault_body(status, text)


def fault_body(status: int, text: str) -> bytes:
    """The standard shape, in JSON."""
    return msgspec.json.encode(
        {"faultcode": "Client" if status < 500 else "Server", "faultstring": text, "debuginfo": None}
    )


def install(app: falcon.App[Any, Any]) -> None:
    """Give every error its shape."""
    app.set_error_serializer(_routing_shape)
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(Unauthorized, _unauthorized)
    app.add_error_handler(Refused, _refused)
    app.add_error_handler(InvalidBody, _invalid_body)
    app.add_error_handler(DriverError, _driver_error)
    app.add_error_handler(IntegrityError, _not_unique)
    app.add_error_handler(OperationalError, _database_error)
    app.add_error_handler(PoolTimeoutError, _database_error)


def _routing_shape(_request: falcon.Request, response: falcon.Response, error: falcon.HTTPError) -> None:
    code = error.status_code
    response.content_type = JSON
    response.data = msgspec.json.encode(
        {"code": code, "title": HTTPStatus(code).phrase, "description": error.description or ""}
    )


def _unauthorized(
    _request: falcon.Request, response: falcon.Response, error: Unauthorized, _params: dict[str, Any]
) -> None:
    status = HTTPStatus.UNAUTHORIZED
    response.status = status
    response.set_header("WWW-Authenticate", error.challenge)
    response.content_type = JSON
    response.data = msgspec.json.encode({"error": {"code": int(status), "title": status.phrase, "message": str(error)}})


def _refused(_request: falcon.Request, response: falcon.Response, error: Refused, _params: dict[str, Any]) -> None:
    fault(response, error.status, error.text)


def _invalid_body(
    _request: falcon.Request, response: falcon.Response, error: InvalidBody, _params: dict[str, Any]
) -> None:
    fault(response, 400, str(error))


def _driver_error(
    _request: falcon.Request, response: falcon.Response, error: DriverError, _params: dict[str, Any]
) -> None:
    fault(response, error.status, error.message)


def _not_unique(
    request: falcon.Request, response: falcon.Response, error: IntegrityError, _params: dict[str, Any]
) -> None:
    log.warning("uniqueness violated", **_ids(request), error=str(error.orig))
    fault(response, 409, "Already an entity with that specified id.")


def _database_error(
    request: falcon.Request, response: falcon.Response, error: Exception, _params: dict[str, Any]
) -> None:
    log.error("database error", **_ids(request), path=request.path, exc_info=error)
    if isinstance(error, OperationalError) and lost_race(error):
        # Tried again and again: other requests of the project never let go of its rows (contract 60, section 1.5).
        fault(response, 503, "Project busy.  Unable to lock the project.  Please try again.")
        return
    fault(response, 503, f"The database did not answer. The request is {request.context.request_id} in the log.")


def _unexpected(request: falcon.Request, response: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
    """The outermost handler: the log has the traceback, the client the request id."""
    log.error("unexpected error", **_ids(request), path=request.path, exc_info=error)
    fault(response, 500, f"An unknown exception occurred. The request is {request.context.request_id} in the log.")


def _ids(request: falcon.Request) -> dict[str, str]:
    """By what the log names a request: our id, and the one that its sender gave it."""
    found = {"request_id": request.context.request_id}
    given = request.env.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
    if _GLOBAL_REQUEST_ID.fullmatch(given):
        found["global_request_id"] = given
    return found
