"""Who the caller is (contract 80, section 1)."""

from typing import Protocol

import falcon

from livia.services.context import Context


class Authenticator(Protocol):
    """One strategy of `[api_settings] auth_strategy`."""

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        """The caller of a request. Raises falcon.HTTPUnauthorized."""


class NoAuth:
    """Everybody is admin, and the identity headers are believed."""

    def __init__(self, default_project: str | None) -> None:
        self._default_project = default_project

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        environ = request.env
        project = environ.get("HTTP_X_PROJECT_ID") or environ.get("HTTP_X_TENANT_ID") or self._default_project
        roles = environ.get("HTTP_X_ROLES")
        return Context(
            project_id=project,
            user_id=environ.get("HTTP_X_USER_ID"),
            roles=frozenset(role.strip() for role in roles.split(",")) if roles else frozenset(),
            is_admin=True,
            request_id=request_id,
        )
