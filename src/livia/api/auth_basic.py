"""`auth_strategy = http_basic`: users with passwords, for installations without a token service (RFC 7617)."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock

import bcrypt
import falcon
import structlog

from livia.api.auth import Unauthorized
from livia.api.files import Watched
from livia.api.users import User, UserFile, UserFileError
from livia.core.clock import Clock
from livia.services.context import Context

log = structlog.get_logger()

_CHALLENGE = 'Basic realm="Livia", charset="UTF-8"'
#: passwords that are known to be right; checking one costs a quarter of a second, looking it up microseconds
_REMEMBERED = 1000


class HttpBasic:
    """Users of a file. Raises UserFileError for a file that cannot be used.

    A file that becomes so while the service runs is logged, and the users before the edit stay.
    """

    def __init__(self, file: UserFile, clock: Clock) -> None:
        self._file = file
        self._watched = Watched(lambda: file.paths, clock)
        self._known = _Known(file.read())

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        if self._watched.changed():
            self._reload()
        user = self._known.user(request.env.get("HTTP_AUTHORIZATION", ""))
        if user is None:
            raise Unauthorized(_CHALLENGE)
        return Context(project_id=user.project_id, user_id=user.name, roles=user.roles, request_id=request_id)

    def _reload(self) -> None:
        try:
            self._known = _Known(self._file.read())
        except UserFileError as error:
            log.error("the user file is broken; the users before stay", error=str(error))


class _Known:
    """The users of one version of the file, and the headers that were found right for it."""

    def __init__(self, users: dict[str, User]) -> None:
        self._users = users
        # What an unknown user's password is compared with, so that the time of a 401 does not tell who exists.
        self._any_hash = next((user.password_hash for user in users.values()), None)
        # Headers are kept as keyed digests: no password lies in memory longer than its request.
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, User] = OrderedDict()
        self._lock = Lock()

    def user(self, header: str) -> User | None:
        """Who sends this Authorization header; None: nobody that is known."""
        digest = hmac.digest(self._key, header.encode("utf-8", "surrogateescape"), hashlib.sha256)
        with self._lock:
            user = self._right.get(digest)
            if user is not None:
                self._right.move_to_end(digest)
                return user
        user = self._checked(header)
        if user is not None:
            with self._lock:
                self._right[digest] = user
                if len(self._right) > _REMEMBERED:
                    self._right.popitem(last=False)
        return user

    def _checked(self, header: str) -> User | None:
        credentials = _credentials(header)
        if credentials is None:
            return None
        name, password = credentials
        user = self._users.get(name)
        password_hash = self._any_hash if user is None else user.password_hash
        if password_hash is None:
            return None
        try:
            right = bcrypt.checkpw(password, password_hash)
        except ValueError:
            # Longer than bcrypt takes, and so nobody's.
            return None
        return user if right else None


def _credentials(header: str) -> tuple[str, bytes] | None:
    """User name and password of the header."""
    scheme, _space, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None
