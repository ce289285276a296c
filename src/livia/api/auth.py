"""Who the caller is (contract 80, section 1)."""

from typing import Protocol

import falcon

from livia.services.context import Context


class Unauthorized(Exception):
    """The 401. `challenge`: the WWW-Authenticate header."""

    def __init__(self, challenge: str) -> None:
        super().__init__("The request you have made requires authentication.")
        self.challenge = challenge


class Authenticator(Protocol):
    """One strategy of `[api_settings] auth_strategy`."""

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        """The caller of a request. Raises Unauthorized."""


class NoAuth:
    """Everybody is admin, and the identity headers are believed."""

    def __init__(self, default_project: str | None) -> None:
        self._default_project = default_project

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        return _believed(request, request_id, self._default_project, is_admin=True)


class Testing:
    """The identity headers are believed, and roles decide, as they would with tokens."""

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        return _believed(request, request_id, None, is_admin=False)


def _believed(request: falcon.Request, request_id: str, default_project: str | None, *, is_admin: bool) -> Context:
    """The caller of the identity headers (contract 80, section 1.1)."""
    header = request.env.get
    roles = header("HTTP_X_ROLES")
    return Context(
        project_id=header("HTTP_X_PROJECT_ID") or header("HTTP_X_TENANT_ID") or default_project,
        user_id=header("HTTP_X_USER_ID"),
        roles=frozenset(role.strip() for role in roles.split(",")) if roles else frozenset(),
        is_admin=is_admin,
        domain_id=header("HTTP_X_DOMAIN_ID"),
        user_domain_id=header("HTTP_X_USER_DOMAIN_ID"),
        project_domain_id=header("HTTP_X_PROJECT_DOMAIN_ID"),
        system_scope=header("HTTP_OPENSTACK_SYSTEM_SCOPE"),
        request_id=request_id,
    )
