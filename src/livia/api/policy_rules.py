"""The rules of the catalogue and of policy files, in oslo.policy's terms.

The functions at the end are entry points: `oslopolicy-sample-generator`, `oslopolicy-policy-generator`,
`oslopolicy-list-redundant` and `oslopolicy-validator` find them under the name `octavia`.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from oslo_policy import policy

from livia.api.policy_source import PolicyError, PolicyFile
from livia.api.rules import BASE, OPERATIONS, BaseRule
from livia.services.settings import PolicySettings

#: what the contract calls the project scope, and what an override that names `system_scope` adds to it
_PROJECT = "project"
_SYSTEM = "system"
_SYSTEM_ATTRIBUTE = "system_scope"
#: checks that ask a server, which may answer differently each time
_REMOTE = frozenset({"http", "https"})
#: what a check may refer to in its object; any value tells whether the check can be evaluated at all
_PROBE = {"project_id": "probe", "user_id": "probe"}


class RuleSet:
    """The defaults and what some files override, ready to be asked.

    Of two files that have a rule the later one counts. `stable`: the same question has the same answer as long as the
    files are the same. Raises PolicyError.
    """

    def __init__(self, files: Sequence[PolicyFile], settings: PolicySettings) -> None:
        overrides = {name: text for file in files for name, text in file.rules.items()}
        sources = {name: file for file in files for name in file.rules}
        scopes = [_PROJECT]
        if any(_SYSTEM_ATTRIBUTE in text for text in overrides.values()):
            # Otherwise these files would grant to tokens that the scope refuses first.
            scopes.append(_SYSTEM)
        self._enforcer = _enforcer(settings)
        self._enforcer.register_defaults(defaults(scopes))
        self._enforcer.file_rules = {name: policy.RuleDefault(name, text) for name, text in overrides.items()}
        checks = policy.Rules({name: rule.check for name, rule in self._enforcer.file_rules.items()})
        for name, rule in self._enforcer.registered_rules.items():
            checks.setdefault(name, self._default(rule, settings))
        self._enforcer.set_rules(checks)
        self.stable = not any(_kind(leaf) in _REMOTE for check in checks.values() for leaf in _leaves(check))
        for name, text in overrides.items():
            _require_evaluable(name, text, checks, sources[name])

    @staticmethod
    def _default(rule: policy.RuleDefault, settings: PolicySettings) -> Any:
        """What a rule that no file overrides means."""
        if rule.deprecated_rule is None or settings.enforce_new_defaults:
            return rule.check
        return policy.OrCheck([rule.check, rule.deprecated_rule.check])

    def allows(self, rule: str, project_id: str | None, credentials: dict[str, Any]) -> bool:
        """Whether who has these credentials may do it. Raises PolicyNotRegistered for a rule of no catalogue."""
        # A key that is absent equals nothing: None would equal the None of another caller without a project.
        target = {} if project_id is None else {"project_id": project_id}
        if not credentials["is_admin"]:
            credentials["is_admin"] = bool(self._enforcer.enforce("context_is_admin", target, credentials))
        return bool(self._enforcer.authorize(rule, target, credentials))


def defaults(scopes: Iterable[str] = (_PROJECT,)) -> list[policy.RuleDefault]:
    """The catalogue."""
    operations = [
        policy.DocumentedRuleDefault(
            name=rule.name,
            check_str=rule.check,
            description=rule.about,
            operations=[{"method": rule.method, "path": f"/v2{rule.path}"}],
            scope_types=list(scopes),
        )
        for rule in OPERATIONS
    ]
    return [*map(_base, BASE), *operations]


def _base(rule: BaseRule) -> policy.RuleDefault:
    deprecated = None
    if rule.legacy is not None:
        deprecated = policy.DeprecatedRule(
            name=rule.name,
            check_str=rule.legacy,
            deprecated_reason="The load-balancer_* roles gave way to admin, member and reader.",
            deprecated_since="Wallaby",
        )
    return policy.RuleDefault(rule.name, rule.check, description=rule.about, deprecated_rule=deprecated)


def _enforcer(settings: PolicySettings) -> policy.Enforcer:
    """An enforcer that reads no file of its own."""
    configuration = cfg.ConfigOpts()
    configuration([], project="octavia", default_config_files=[], default_config_dirs=[])
    return policy.Enforcer(configuration, use_conf=False, default_rule=settings.policy_default_rule)


def _require_evaluable(name: str, text: str, checks: Mapping[str, Any], source: PolicyFile) -> None:
    """Raise PolicyError for a check that cannot be parsed, cannot be evaluated, or asks for itself."""
    for leaf in _leaves(checks[name]):
        # The parser makes a check that is never true of what it does not understand.
        if str(leaf) == "!" and "!" not in text.split():
            raise PolicyError(f"{source.place(name)} has a check that is not in the policy language.")
        if _kind(leaf) in (None, "rule", *_REMOTE):
            continue
        try:
            leaf(_PROBE, {"roles": []}, None)
        except (ValueError, TypeError, SyntaxError) as error:
            raise PolicyError(f"{source.place(name)} has a check that cannot be evaluated.") from error
    if _refers_to(name, name, checks, set()):
        raise PolicyError(f"{source.place(name)} has a check that refers to itself.")


def _refers_to(wanted: str, name: str, checks: Mapping[str, Any], seen: set[str]) -> bool:
    for leaf in _leaves(checks[name]) if name in checks else ():
        if _kind(leaf) != "rule" or leaf.match in seen:
            continue
        seen.add(leaf.match)
        if leaf.match == wanted or _refers_to(wanted, leaf.match, checks, seen):
            return True
    return False


def _kind(leaf: Any) -> str | None:
    return leaf.kind if isinstance(leaf, policy.Check) else None


def _leaves(check: Any) -> Iterator[Any]:
    """The checks that a tree of `and`, `or` and `not` consists of."""
    if isinstance(check, policy.AndCheck | policy.OrCheck):
        for each in check.rules:
            yield from _leaves(each)
    elif isinstance(check, policy.NotCheck):
        yield from _leaves(check.rule)
    else:
        yield check


def list_rules() -> list[policy.RuleDefault]:
    """Entry point `oslo.policy.policies`: the catalogue."""
    return defaults()


def get_enforcer() -> policy.Enforcer:
    """Entry point `oslo.policy.enforcer`: the catalogue and the files that octavia.conf names.

    The tools have their own arguments; of those only `--config-file` and `--config-dir` are for us.
    """
    configuration = cfg.ConfigOpts()
    configuration(_configuration_arguments(sys.argv[1:]), project="octavia")
    enforcer = policy.Enforcer(configuration)
    enforcer.suppress_default_change_warnings = True
    enforcer.register_defaults(defaults())
    return enforcer


def _configuration_arguments(arguments: Sequence[str]) -> list[str]:
    found: list[str] = []
    expected = False
    for each in arguments:
        name = each.partition("=")[0]
        if expected or name in ("--config-file", "--config-dir"):
            found.append(each)
        expected = each in ("--config-file", "--config-dir")
    return found
