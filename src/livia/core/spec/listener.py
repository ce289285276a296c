"""Listeners with their L7 policies, as one amphora has them."""

from msgspec import Struct

from livia.core.model.l7 import DEFAULT_REDIRECT_CODE, Action, CompareType, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.spec.tls import TerminationSpec


class RuleSpec(Struct, frozen=True, kw_only=True):
    """A condition. `key`: the header, cookie or field of the certificate's subject that it looks at."""

    type: RuleType
    compare_type: CompareType
    key: str | None = None
    value: str
    invert: bool = False


class PolicySpec(Struct, frozen=True, kw_only=True):
    """What becomes of a request that meets all `rules`, of which there is at least one.

    REDIRECT_TO_POOL has `pool_id`, the redirects `url` (as it is, or as a prefix) and `code`.
    """

    id: str
    action: Action
    rules: tuple[RuleSpec, ...]
    pool_id: str | None = None
    url: str | None = None
    code: int = DEFAULT_REDIRECT_CODE


class ListenerSpec(Struct, frozen=True, kw_only=True):
    """Timeouts in milliseconds. `connection_limit` -1: no limit of its own."""

    id: str
    protocol: ListenerProtocol
    port: int
    connection_limit: int
    default_pool_id: str | None
    insert_headers: tuple[str, ...]
    allowed_cidrs: tuple[str, ...]
    timeout_client_data: int
    timeout_member_connect: int
    timeout_member_data: int
    timeout_tcp_inspect: int
    #: of TERMINATED_HTTPS, and of PROMETHEUS with a certificate
    tls: TerminationSpec | None = None
    #: in the order of their positions
    policies: tuple[PolicySpec, ...] = ()

    def pool_ids(self) -> tuple[str, ...]:
        """The pools that it sends traffic to, each once."""
        named = (self.default_pool_id, *(policy.pool_id for policy in self.policies))
        return tuple(dict.fromkeys(each for each in named if each is not None))

    @property
    def datagram(self) -> bool:
        """Whether packets are balanced, by the kernel, and not connections, by HAProxy."""
        return self.protocol in (ListenerProtocol.UDP, ListenerProtocol.SCTP)
