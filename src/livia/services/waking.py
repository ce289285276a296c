"""Waking the worker for what is committed."""

from livia.core.wake import Wake
from livia.store.engine import Database


class WakeAfterCommit:
    """A Wake that holds a hint back while what it is about may still be rolled back."""

    def __init__(self, database: Database, wake: Wake) -> None:
        self._database = database
        self._wake = wake

    def hint(self, key: str) -> None:
        self._database.after_commit(lambda: self._wake.hint(key))
