"""L7 policies in a frontend (contract 50, section 3): who is rejected, redirected, or sent to which pool.

HAProxy goes through its `http-request` rules first and through `use_backend` afterwards, so REJECT and redirects
come before REDIRECT_TO_POOL whatever their positions. As elsewhere REJECT also comes before redirects.
"""

from livia.agent.haproxy.text import line, quoted_argument
from livia.agent.haproxy.wiring import backend_name
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.spec import ListenerSpec, PolicySpec, RuleSpec

_ORDER = {Action.REJECT: 0, Action.REDIRECT_TO_URL: 1, Action.REDIRECT_PREFIX: 1, Action.REDIRECT_TO_POOL: 2}
_MATCH = {
    CompareType.REGEX: "reg",
    CompareType.STARTS_WITH: "beg",
    CompareType.ENDS_WITH: "end",
    CompareType.CONTAINS: "sub",
    CompareType.EQUAL_TO: "str",
}
#: sample fetches of the types that have a key; `req.hdr` takes comma-separated values one by one
_FETCH = {RuleType.HEADER: "req.hdr", RuleType.COOKIE: "req.cook", RuleType.SSL_DN_FIELD: "ssl_c_s_dn"}


def policies(listener: ListenerSpec) -> list[str]:
    """The directives, ACLs first. `listener` has passed `check`."""
    acls: list[str] = []
    steps: list[str] = []
    for number, policy in enumerate(sorted(listener.policies, key=lambda policy: _ORDER[policy.action])):
        # Short names: a policy with all the rules it can have stays on one line.
        names = [f"p{number}r{index}" for index, _rule in enumerate(policy.rules)]
        acls += [line("acl", name, *_condition(rule)) for name, rule in zip(names, policy.rules, strict=True)]
        conditions = [f"{'!' if rule.invert else ''}{name}" for name, rule in zip(names, policy.rules, strict=True)]
        steps.append(line(*_action(policy, listener), "if", *conditions))
    return [*acls, *steps]


def _action(policy: PolicySpec, listener: ListenerSpec) -> list[str | int]:
    if policy.action is Action.REJECT:
        return ["http-request", "deny", "deny_status", 403]
    if policy.action is Action.REDIRECT_TO_POOL:
        return ["use_backend", backend_name(policy.pool_id or "", listener.id)]
    # The target is a log format (manual, section 8.2.4), in which a percent sign is written twice.
    url = (policy.url or "").replace("%", "%%")
    how = "prefix" if policy.action is Action.REDIRECT_PREFIX else "location"
    return ["http-request", "redirect", how, url, "code", policy.code]


def _condition(rule: RuleSpec) -> list[str]:
    """What an ACL consists of. Values come after `--`: none can be taken for a flag, such as one that names a file."""
    match = _MATCH[rule.compare_type]
    if rule.type is RuleType.SSL_CONN_HAS_CERT:
        return ["ssl_c_used"]
    if rule.type is RuleType.SSL_VERIFY_RESULT:
        return ["ssl_c_verify", "-m", "int", "--", rule.value]
    if rule.type is RuleType.HOST_NAME:
        return ["req.hdr(host)", "-i", "-m", match, "--", rule.value]
    if rule.type is RuleType.PATH:
        return ["path", "-m", match, "--", rule.value]
    if rule.type is RuleType.FILE_TYPE:
        return ["path", "-m", "reg" if rule.compare_type is CompareType.REGEX else "end", "--", rule.value]
    return [f"{_FETCH[rule.type]}({quoted_argument(rule.key or '')})", "-m", match, "--", rule.value]
