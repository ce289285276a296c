"""Policy by rules that operators may edit while the service runs (contract 80, sections 2 to 6)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog

from livia.api.files import Watched
from livia.api.policy_rules import RuleSet
from livia.api.policy_source import PolicyError, PolicyFile
from livia.core.clock import Clock
from livia.services.context import Context
from livia.services.settings import PolicySettings

log = structlog.get_logger()

#: answers that the memo holds; asking oslo.policy costs some 250 µs, looking up well below one
_MEMO = 10_000

_Memo = dict[tuple[Any, ...], bool]


class FilePolicy:
    """The defaults of the catalogue under what the policy file and the files of the policy directories override.

    Relative names are looked for in `directories`, in their order. Raises PolicyError for files that cannot be used;
    files that become so while the service runs are logged, and the rules before the edit stay in force.
    """

    def __init__(self, settings: PolicySettings, directories: Sequence[Path], clock: Clock) -> None:
        self._settings = settings
        self._directories = directories
        self._watched = Watched(lambda: [*self._policy_directories(), *self._files()], clock)
        # The rules and the answers they gave are one thing, so that no answer outlives its rules.
        self._current: tuple[RuleSet, _Memo] = (self._read(), {})
        if settings.policy_file != PolicySettings().policy_file and self._find(settings.policy_file) is None:
            log.warning("the policy file does not exist; the default rules are in force", file=settings.policy_file)

    def allows(self, context: Context, rule: str, project_id: str | None) -> bool:
        """Whether the caller may do `rule` to an object of the project."""
        if self._watched.changed():
            self._reload()
        rules, memo = self._current
        key = (
            rule,
            project_id,
            context.project_id,
            context.roles,
            context.user_id,
            context.is_admin,
            context.system_scope,
            context.domain_id,
            context.user_domain_id,
            context.project_domain_id,
        )
        known = memo.get(key)
        if known is not None:
            return known
        answer = rules.allows(rule, project_id, _credentials(context))
        if rules.stable:
            if len(memo) >= _MEMO:
                memo.clear()
            memo[key] = answer
        return answer

    def _reload(self) -> None:
        try:
            self._current = (self._read(), {})
        except PolicyError as error:
            cause = "" if error.__cause__ is None else str(error.__cause__)
            log.error("policy files are broken; the rules before stay in force", error=str(error), cause=cause)
        else:
            log.info("policy files read")

    def _read(self) -> RuleSet:
        try:
            files = [*self._files()]
        except OSError as error:
            raise PolicyError(f"The policy files cannot be listed: {error.strerror}.") from error
        return RuleSet([*map(PolicyFile, files)], self._settings)

    def _files(self) -> Iterator[Path]:
        """The policy file, then those of the directories by name: later ones count."""
        path = self._find(self._settings.policy_file)
        if path is not None:
            yield path
        for directory in self._policy_directories():
            yield from sorted(each for each in directory.iterdir() if each.is_file() and not each.name.startswith("."))

    def _policy_directories(self) -> Iterator[Path]:
        for name in self._settings.policy_dirs:
            path = self._find(name)
            if path is not None and path.is_dir():
                yield path

    def _find(self, name: str) -> Path | None:
        return next((path for each in self._directories if (path := each / name).exists()), None)


def _credentials(context: Context) -> dict[str, Any]:
    """What rules may refer to; what the caller does not have is absent, so that it equals nothing."""
    found = {
        "project_id": context.project_id,
        "tenant_id": context.project_id,
        "user_id": context.user_id,
        "roles": sorted(context.roles),
        "is_admin": context.is_admin,
        "system_scope": context.system_scope,
        "domain_id": context.domain_id,
        "user_domain_id": context.user_domain_id,
        "project_domain_id": context.project_domain_id,
    }
    return {name: value for name, value in found.items() if value is not None}
