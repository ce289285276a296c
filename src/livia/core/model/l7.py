"""L7 policies and their rules (contract 50)."""

from enum import StrEnum

from msgspec import Struct

from livia.core.model.status import Operating, Provisioning


class Action(StrEnum):
    REJECT = "REJECT"
    REDIRECT_TO_URL = "REDIRECT_TO_URL"
    REDIRECT_TO_POOL = "REDIRECT_TO_POOL"
    REDIRECT_PREFIX = "REDIRECT_PREFIX"


class RuleType(StrEnum):
    HOST_NAME = "HOST_NAME"
    PATH = "PATH"
    FILE_TYPE = "FILE_TYPE"
    HEADER = "HEADER"
    COOKIE = "COOKIE"
    SSL_CONN_HAS_CERT = "SSL_CONN_HAS_CERT"
    SSL_VERIFY_RESULT = "SSL_VERIFY_RESULT"
    SSL_DN_FIELD = "SSL_DN_FIELD"


class CompareType(StrEnum):
    REGEX = "REGEX"
    STARTS_WITH = "STARTS_WITH"
    ENDS_WITH = "ENDS_WITH"
    CONTAINS = "CONTAINS"
    EQUAL_TO = "EQUAL_TO"


#: how a client is redirected unless the policy says so (contract 50, section 1.4)
DEFAULT_REDIRECT_CODE = 302
#: HTTP status codes of redirects (contract 50, section 1.3)
REDIRECT_CODES = (301, 302, 303, 307, 308)
#: rules that one policy can have, disabled ones included (contract 50, section 2.4)
MOST_RULES = 50


class L7Rule(Struct, frozen=True, kw_only=True):
    """One condition on a request; `key` names the header, cookie or field of the certificate it looks at."""

    id: str
    l7policy_id: str
    project_id: str
    admin_state_up: bool = True
    provisioning_status: Provisioning
    operating_status: Operating
    type: RuleType
    compare_type: CompareType
    key: str | None = None
    value: str
    invert: bool = False
    generation: int = 0


class L7Policy(Struct, frozen=True, kw_only=True):
    """What becomes of a request that meets every enabled rule. `position` counts from 1 within the listener."""

    id: str
    listener_id: str
    project_id: str
    name: str = ""
    admin_state_up: bool = True
    provisioning_status: Provisioning
    operating_status: Operating
    action: Action
    redirect_pool_id: str | None = None
    redirect_url: str | None = None
    redirect_prefix: str | None = None
    redirect_http_code: int | None = None
    position: int
    generation: int = 0
    rules: tuple[L7Rule, ...] = ()
