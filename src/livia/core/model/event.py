"""Events: the reasons behind statuses (design, section 5)."""

from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Event(Struct, frozen=True, kw_only=True):
    """One sentence about one object. `code` is stable and machine-readable, `message` is for people."""

    load_balancer_id: str
    object_type: str
    object_id: str
    severity: Severity
    code: str
    message: str
    request_id: str | None = None
