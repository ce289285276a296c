"""What L7 policies and rules can be (contract 50)."""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from livia.core.model.l7 import DEFAULT_REDIRECT_CODE, Action, CompareType, RuleType
from livia.core.rules.expressions import expression_problem
from livia.core.rules.verdict import ACCEPT, Refuse, Verdict

_ANY = frozenset(CompareType)
#: the compare types of each rule type (contract 50, section 2.3)
COMPARE_TYPES = {
    RuleType.HOST_NAME: _ANY,
    RuleType.PATH: _ANY,
    RuleType.FILE_TYPE: frozenset({CompareType.REGEX, CompareType.EQUAL_TO}),
    RuleType.HEADER: _ANY,
    RuleType.COOKIE: _ANY,
    RuleType.SSL_CONN_HAS_CERT: frozenset({CompareType.EQUAL_TO}),
    RuleType.SSL_VERIFY_RESULT: frozenset({CompareType.EQUAL_TO}),
    RuleType.SSL_DN_FIELD: _ANY,
}
#: types that look at one thing only, so that a key says nothing
KEYLESS = frozenset({RuleType.HOST_NAME, RuleType.PATH, RuleType.FILE_TYPE})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+,\-.^_`|~]+")
_DN_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_VALUE = re.compile(r'[\x21-\x7e]+|"[\x20-\x7e\t]*"')
_COOKIE_VALUE = re.compile("[" + re.escape("".join(sorted(set(string.printable[:94]) - set('";\\')))) + "]+")
#: what no word of the data plane's configuration can have
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
#: what a fault string calls the value of a rule that compares something else than a part of the URL
_VALUE_CALLED = {RuleType.HEADER: "header value", RuleType.COOKIE: "cookie value"}
_URL, _PREFIX, _POOL = "redirect_url", "redirect_prefix", "redirect_pool_id"
_TARGETS = {
    _POOL: Action.REDIRECT_TO_POOL,
    _URL: Action.REDIRECT_TO_URL,
    _PREFIX: Action.REDIRECT_PREFIX,
}
#: what a fault string calls the target of an action
_CALLED = {_POOL: "redirect_pool_id or redirect_pool", _URL: _URL, _PREFIX: _PREFIX}


def target(given: Mapping[str, Any], stored_action: str | None = None) -> dict[str, Any] | Refuse:
    """The action and what goes with it, as far as a request sets them (contract 50, section 1.4).

    `given`: what the request sets, not merged with what is stored. `stored_action`: of the policy that changes.
    """
    action = Action(given["action"]) if given.get("action") is not None else None
    if action is None and "action" in given:
        return Refuse(400, "Invalid L7 Policy action specified: None")
    wanted = {name: given.get(name) for name in _TARGETS}
    missing = _missing(given, wanted, action, stored_action)
    if missing is not None:
        return Refuse(400, f"Invalid L7 Policy arguments: {_CALLED[missing]} must not be None")
    for name in _OVERRULED.get(action, ()):
        wanted[name] = None
    if wanted[_POOL] and (wanted[_URL] or wanted[_PREFIX]):
        return Refuse(
            400,
            "Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the "
            "same time",
        )
    return _with_target(given, wanted, action)


def _missing(
    given: Mapping[str, Any], wanted: Mapping[str, Any], action: Action | None, stored_action: str | None
) -> str | None:
    """The target without which the policy could do nothing: an action needs its own in the same request, and nothing
    may take away the stored one."""
    needed = next((name for name, served in _TARGETS.items() if served == (action or stored_action)), None)
    if needed is None or wanted[needed]:
        return None
    taken_away = needed in given and not any(wanted.values())
    return needed if action is not None or taken_away else None


#: what an action takes out of the request
_OVERRULED: Mapping[Action | None, tuple[str, ...]] = {
    Action.REJECT: (_URL, _POOL, _PREFIX),
    Action.REDIRECT_TO_URL: (_POOL,),
    Action.REDIRECT_TO_POOL: (_URL,),
}


def _with_target(given: Mapping[str, Any], wanted: Mapping[str, Any], action: Action | None) -> dict[str, Any]:
    """Pool, URL and prefix count in this order; the others are cleared."""
    chosen = next((name for name in (_POOL, _URL, _PREFIX) if wanted[name]), None)
    code: int | None = given.get("redirect_http_code")
    if chosen is None and action is None:
        # Nothing about the target, or nulls of targets that the policy does not have.
        return {"redirect_http_code": code} if "redirect_http_code" in given else {}
    if chosen is None:
        return {"action": str(action), **dict.fromkeys(_TARGETS), "redirect_http_code": None}
    redirecting = chosen != _POOL
    return {
        "action": str(_TARGETS[chosen]),
        **dict.fromkeys(_TARGETS),
        chosen: wanted[chosen],
        "redirect_http_code": (code or DEFAULT_REDIRECT_CODE) if redirecting else None,
    }


def positions(wanted: Sequence[int]) -> list[int]:
    """Where policies come that are added one after the other at these positions; beyond the end means the last."""
    order: list[int] = []
    for index, position in enumerate(wanted):
        order.insert(position - 1, index)
    return [order.index(index) + 1 for index in range(len(wanted))]


def with_key_cleared(changes: Mapping[str, Any], stored_type: str) -> dict[str, Any]:
    """What a request changes of a rule: a new type without key takes the stored one away."""
    kind = changes.get("type", stored_type)
    if kind != stored_type and kind in KEYLESS and "key" not in changes:
        return {**changes, "key": None}
    return dict(changes)


def rule_acceptable(rule: Mapping[str, Any]) -> Verdict:
    """Whether type, compare type, key and value of a whole rule go together (contract 50, sections 2.3 and 2.4)."""
    problem = _problem(RuleType(rule["type"]), CompareType(rule["compare_type"]), rule["key"], rule["value"])
    return ACCEPT if problem is None else Refuse(400, f"Error parsing L7Rule: {problem}")


def _problem(kind: RuleType, compare: CompareType, key: str | None, value: str) -> str | None:
    if kind in (RuleType.SSL_CONN_HAS_CERT, RuleType.SSL_VERIFY_RESULT):
        return _ssl_flag_problem(kind, compare, key, value)
    if not value:
        return "Invalid L7 Rule: L7 rule type requires a value"
    if compare not in COMPARE_TYPES[kind]:
        return "Invalid L7 Rule: invalid comparison type for rule type"
    if kind not in KEYLESS:
        if not key:
            return "Invalid L7 Rule: L7 rule type requires a key"
        if not (_DN_FIELD if kind is RuleType.SSL_DN_FIELD else _TOKEN).fullmatch(key):
            return "Invalid characters in key"
    if not _CONTROL.search(value):
        if compare is CompareType.REGEX:
            return expression_problem(value)
        if kind is RuleType.SSL_DN_FIELD or (_COOKIE_VALUE if kind is RuleType.COOKIE else _VALUE).fullmatch(value):
            return None
    return f"Invalid characters in {_VALUE_CALLED.get(kind, 'comparison value')}"


def _ssl_flag_problem(kind: RuleType, compare: CompareType, key: str | None, value: str) -> str | None:
    if compare is not CompareType.EQUAL_TO:
        return f"Invalid L7 Rule: {kind} rules only know the compare type EQUAL_TO, invalid comparison type {compare}"
    if key is not None:
        return f"Invalid L7 Rule: {kind} rules have no key"
    if kind is RuleType.SSL_CONN_HAS_CERT and value.lower() != "true":
        return f"Invalid L7 Rule: {kind} rules only know the value True"
    if kind is RuleType.SSL_VERIFY_RESULT and not re.fullmatch(r"[0-9]{1,9}", value):
        return f"Invalid L7 Rule: {kind} rules need a value that is an integer of 0 or more, of at most 9 digits"
    return None
