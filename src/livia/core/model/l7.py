"""L7 policies and their rules (contract 50)."""

from enum import StrEnum

from livia.core.model.item import Item


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


class L7Rule(Item, frozen=True, kw_only=True):
    """One condition on a request; `key` names the header, cookie or field of the certificate it looks at."""

    l7policy_id: str
    type: RuleType
    compare_type: CompareType
    key: str | None = None
    value: str
    invert: bool = False


class L7Policy(Item, frozen=True, kw_only=True):
    """What becomes of a request that meets every enabled rule. `position` counts from 1 within the listener."""

    listener_id: str
    action: Action
    redirect_pool_id: str | None = None
    redirect_url: str | None = None
    redirect_prefix: str | None = None
    redirect_http_code: int | None = None
    position: int
    rules: tuple[L7Rule, ...] = ()
