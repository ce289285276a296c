"""The users of `auth_strategy = http_basic`, in two files with a line each.

`FILE` is what the htpasswd command of Apache reads and writes with bcrypt: `name:hash`. `FILE.projects` says where a
user belongs and what it may do: `name:project id:role,role`. A user without a line there has no project and no role.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import bcrypt
from msgspec import Struct

from livia.pki.authority import write_private

#: what bcrypt hashes begin with; other schemes of htpasswd are refused
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,255}")
#: of a project: what the API takes (contract 00, section 7), without what separates fields and roles
_PROJECT = re.compile(r"[^:,\s]{1,36}")
_ROLE = re.compile(r"[^:,\s]{1,255}")
#: bytes of a password; bcrypt looks at no more
_LONGEST_PASSWORD = 72


class UserFileError(Exception):
    """The files cannot be used, or not so; the message is a sentence, which quotes nothing of what `read` reads."""


class User(Struct, frozen=True, kw_only=True):
    """One who may call. `project_id` None: nobody's."""

    name: str
    password_hash: bytes
    project_id: str | None = None
    roles: frozenset[str] = frozenset()


class UserFile:
    """Reads and writes the users. Each write replaces a file as a whole, so that a reader sees the old or the new."""

    def __init__(self, path: Path) -> None:
        self._passwords = path
        self._projects = path.with_name(f"{path.name}.projects")

    @property
    def paths(self) -> tuple[Path, Path]:
        return self._passwords, self._projects

    def exists(self) -> bool:
        """Whether anybody was ever added."""
        return self._passwords.exists()

    def read(self) -> dict[str, User]:
        """Users by name; a file that is not there has none. Raises UserFileError."""
        places = {name: fields for _number, name, fields in _entries(self._projects, 2)}
        found = {}
        for number, name, (password_hash,) in _entries(self._passwords, 1):
            if not _BCRYPT.fullmatch(password_hash):
                raise UserFileError(
                    f"{self._passwords}, line {number}: the password is not hashed by bcrypt (htpasswd -B)."
                )
            project_id, roles = places.get(name, ("", ""))
            found[name] = User(
                name=name,
                password_hash=password_hash.encode(),
                project_id=project_id or None,
                roles=frozenset(role.strip() for role in roles.split(",") if role.strip()),
            )
        return found

    def add(self, name: str, password: str, project_id: str, roles: list[str]) -> None:
        """Add a user, or change one. Raises UserFileError."""
        if not _NAME.fullmatch(name):
            raise UserFileError("A user's name consists of letters, digits and . _ @ -, at most 255.")
        if not _PROJECT.fullmatch(project_id):
            raise UserFileError("A project id has at most 36 characters, and no blank, comma or colon.")
        for role in roles:
            if not _ROLE.fullmatch(role):
                raise UserFileError(f"A role has no blank, comma or colon: {role!r}.")
        secret = password.encode()
        if not 0 < len(secret) <= _LONGEST_PASSWORD:
            raise UserFileError(f"A password has 1 to {_LONGEST_PASSWORD} bytes.")
        self.read()
        # First what the user may do, so that nobody is known before that is.
        _put(self._projects, name, f"{name}:{project_id}:{','.join(roles)}")
        _put(self._passwords, name, f"{name}:{bcrypt.hashpw(secret, bcrypt.gensalt()).decode()}")

    def remove(self, name: str) -> None:
        """Remove a user. Raises UserFileError for one that is not there."""
        if name not in self.read():
            raise UserFileError(f"There is no user {name} in {self._passwords}.")
        _put(self._passwords, name, None)
        _put(self._projects, name, None)


def _entries(path: Path, count: int) -> Iterator[tuple[int, str, list[str]]]:
    """Number of the line, name and the `count` fields after it. Empty lines and those with # first are comments."""
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *fields = line.strip().split(":")
        if len(fields) != count or not name:
            raise UserFileError(f"{path}, line {number}: there should be {count + 1} fields with colons between them.")
        yield number, name, fields


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserFileError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserFileError(f"{path} cannot be read: it is not UTF-8.") from error


def _put(path: Path, name: str, line: str | None) -> None:
    """Replace the line of a user; None: remove it."""
    lines = _lines(path)
    at = [index for index, each in enumerate(lines) if each.partition(":")[0] == name]
    kept = [each for index, each in enumerate(lines) if index not in at]
    if line is not None:
        kept.insert(at[0] if at else len(kept), line)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, "".join(f"{each}\n" for each in kept).encode())
    except OSError as error:
        raise UserFileError(f"{path} cannot be written: {error}") from error
