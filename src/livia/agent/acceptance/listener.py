"""What listeners, their L7 policies and rules must be like."""

import re
from ipaddress import ip_network

from livia.agent.acceptance.fields import LONGEST, address, between
from livia.agent.errors import InvalidSpecError
from livia.agent.haproxy.wiring import is_http
from livia.agent.names import checked_id
from livia.core.model.l7 import MOST_RULES, REDIRECT_CODES, Action, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, PolicySpec, RuleSpec

_URL = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x20\x7f-\x9f]{1,248}")
#: a header's name is a token, too: RFC 9110, section 5.1
_KEYS = {
    RuleType.HEADER: re.compile(r"[!#$%&'*+,.^_`|~0-9A-Za-z-]{1,255}"),
    RuleType.COOKIE: re.compile(r"[!#$%&'*+,.^_`|~0-9A-Za-z-]{1,255}"),
    RuleType.SSL_DN_FIELD: re.compile(r"[A-Za-z][A-Za-z0-9-]{0,254}"),
}
_RULE_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]{1,255}")
_DIGITS = re.compile(r"[0-9]{1,9}")


def check_listener(listener: ListenerSpec, pools: set[str]) -> None:
    checked_id(listener.id, "listener id")
    between(listener.port, 1, 65535, "listener port")
    if listener.default_pool_id is not None and listener.default_pool_id not in pools:
        raise InvalidSpecError(
            f"Listener {listener.id} uses pool {listener.default_pool_id}, which is not in the spec."
        )
    for cidr in listener.allowed_cidrs:
        try:
            ip_network(cidr, strict=False)
        except ValueError as error:
            raise InvalidSpecError(f"{cidr[:80]!r} is no CIDR.") from error
        address(cidr.partition("/")[0], "CIDR")
    for value in (
        listener.timeout_client_data,
        listener.timeout_member_connect,
        listener.timeout_member_data,
        listener.timeout_tcp_inspect,
    ):
        between(value, 0, LONGEST, f"timeout of listener {listener.id}")
    if listener.protocol is ListenerProtocol.PROMETHEUS and (listener.default_pool_id or listener.policies):
        raise InvalidSpecError(f"A PROMETHEUS listener answers by itself: no pools and L7 policies ({listener.id}).")
    if listener.policies and not is_http(listener):
        raise InvalidSpecError(f"L7 policies are for HTTP, not for the {listener.protocol} of listener {listener.id}.")
    for policy in listener.policies:
        _policy(policy, pools)


def _policy(policy: PolicySpec, pools: set[str]) -> None:
    checked_id(policy.id, "L7 policy id")
    between(len(policy.rules), 1, MOST_RULES, f"number of rules of L7 policy {policy.id}")
    if policy.action is Action.REDIRECT_TO_POOL and policy.pool_id not in pools:
        raise InvalidSpecError(f"L7 policy {policy.id} uses pool {policy.pool_id}, which is not in the spec.")
    if policy.action in (Action.REDIRECT_TO_URL, Action.REDIRECT_PREFIX):
        if not _URL.fullmatch(policy.url or ""):
            raise InvalidSpecError(f"{(policy.url or '')[:80]!r} is no URL to redirect to (L7 policy {policy.id}).")
        if policy.code not in REDIRECT_CODES:
            raise InvalidSpecError(f"{policy.code} is no status of a redirect (L7 policy {policy.id}).")
    for rule in policy.rules:
        _rule(rule, policy.id)


def _rule(rule: RuleSpec, policy_id: str) -> None:
    key = _KEYS.get(rule.type)
    if key is not None and not key.fullmatch(rule.key or ""):
        raise InvalidSpecError(f"{(rule.key or '')[:80]!r} is no key of a {rule.type} rule (L7 policy {policy_id}).")
    value = _DIGITS if rule.type is RuleType.SSL_VERIFY_RESULT else _RULE_VALUE
    if not value.fullmatch(rule.value):
        raise InvalidSpecError(f"{rule.value[:80]!r} is no value of a {rule.type} rule (L7 policy {policy_id}).")
