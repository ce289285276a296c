"""One policy file: its rules, and where in it each of them stands.

What is wrong with a file may be told to anybody, and a file may have anything in it, the password of a server that a
check asks among it. So the sentences of errors say where to look, and quote nothing; their causes do, for the log.
"""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from oslo_policy import policy

#: what messages of the parser quote of YAML itself: all else in quotes is of the file
_OF_YAML = re.compile(r"'([:,\]}]|<[a-z ]+>)'")


class PolicyError(Exception):
    """Policy files cannot be used. The message is a sentence for anybody; what it was raised from is for the log."""


class PolicyFile:
    """The file at a path, read once. Raises PolicyError for one that is not a mapping of names to checks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = path.read_bytes()
            # Reads JSON too, which is YAML; no document at all is an empty one.
            content: Any = policy.parse_file_contents(self._text)
        except OSError as error:
            raise PolicyError(f"The policy file {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise PolicyError(f"The policy file {path} cannot be read{_fault(error)}.") from error
        if not isinstance(content, dict):
            raise PolicyError(f"The policy file {path} {_UNLIKE_RULES}")
        for name, check in content.items():
            if not isinstance(name, str) or not isinstance(check, str):
                raise PolicyError(f"{self.place(name)} {_UNLIKE_RULES}")
        #: name to check, in the policy language
        self.rules: dict[str, str] = content

    def place(self, name: object) -> str:
        """The beginning of a sentence about the rule of this name: the file and its line."""
        root = yaml.compose(self._text, Loader=yaml.SafeLoader)
        # Of two that have the name the later one counts. What is merged into a mapping has no key in it.
        lines = [key.start_mark.line + 1 for key, _value in root.value if key.value == str(name)]
        return f"The policy file {self._path}" + "".join(f", line {line}," for line in lines[-1:])


_UNLIKE_RULES = 'is not a list of lines of the form "name": "check".'


def _fault(error: ValueError) -> str:
    """Where and why the parser stopped, as far as that is known and nothing is quoted."""
    # The engine raises an error of its own in place of the parser's.
    cause = error.__context__
    if not isinstance(cause, yaml.MarkedYAMLError) or cause.problem_mark is None:
        return ": it is not YAML"
    mark, problem = cause.problem_mark, str(cause.problem)
    where = f" at line {mark.line + 1}, column {mark.column + 1}"
    quotes = re.search(r"[\"']", _OF_YAML.sub("", problem))
    return f"{where}: it is not YAML" if quotes else f"{where}: {problem}"
