"""What a caller may do. Each operation has a rule name that operators can override (contract 80, section 3)."""

from typing import Protocol

from livia.api.rules import name_of
from livia.services.context import Context, Refused


class Policy(Protocol):
    """Decides by rule name."""

    def allows(self, context: Context, rule: str, project_id: str | None) -> bool:
        """Whether the caller may do `rule` to an object of the project."""


class AdminPolicy:
    """Admins may do everything, others nothing: what the default rules say where everybody is admin."""

    def allows(self, context: Context, rule: str, project_id: str | None) -> bool:
        return context.is_admin


def rule(resource: str, action: str) -> str:
    """The name of an operation's rule; `resource` as in the item key of the wire."""
    return name_of(resource, action)


def forbidden() -> Refused:
    """The 403 of a denied request."""
    return Refused(403, "Policy does not allow this request to be performed.")


def enforce(policy: Policy, context: Context, name: str, project_id: str | None) -> None:
    """Raise the 403."""
    if not policy.allows(context, name, project_id):
        raise forbidden()
