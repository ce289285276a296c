"""Who asks, and what a use case works with."""

from collections.abc import Callable
from uuid import uuid4

from msgspec import Struct

from livia.core.clock import Clock
from livia.core.drivers import NetworkDriver, Seal, SecretStore
from livia.core.rules.capabilities import AGENT_LIMITS, Limits
from livia.core.rules.verdict import Refuse, Verdict
from livia.core.wake import Wake
from livia.services.settings import ApiSettings
from livia.store.engine import Database


class Context(Struct, frozen=True, kw_only=True):
    """The caller of one request (contract 80, section 1.1). `project_id` is None for a caller without a project.

    `domain_id` and `system_scope` are those of tokens for a domain or for the whole system.
    `dry_run`: the caller only wants to know. Whatever is written is rolled back; nothing may be made elsewhere.
    """

    project_id: str | None = None
    user_id: str | None = None
    roles: frozenset[str] = frozenset()
    is_admin: bool = False
    domain_id: str | None = None
    user_domain_id: str | None = None
    project_domain_id: str | None = None
    system_scope: str | None = None
    request_id: str | None = None
    dry_run: bool = False


def new_uuid() -> str:
    """An id for a new object."""
    return str(uuid4())


def new_request_id() -> str:
    """An id for what somebody asks for, or Livia itself decides: by it logs and events are found."""
    return f"req-{uuid4()}"


class Deps(Struct, frozen=True, kw_only=True):
    """What use cases work with. `limits`: what the data plane cannot do, refused with a reason."""

    database: Database
    network: NetworkDriver
    secrets: SecretStore
    seal: Seal
    wake: Wake
    clock: Clock
    settings: ApiSettings = ApiSettings()
    limits: Limits = AGENT_LIMITS
    new_id: Callable[[], str] = new_uuid


class Refused(Exception):
    """The request cannot be done: HTTP `status` and fault string `text`. Nothing was changed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def refuse(refusal: Refuse) -> Refused:
    """The exception for a rule's refusal."""
    return Refused(refusal.status, refusal.text)


def require(*verdicts: Verdict) -> None:
    """Raise the first refusal."""
    for verdict in verdicts:
        if isinstance(verdict, Refuse):
            raise refuse(verdict)
