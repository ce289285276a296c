"""The same POST again has the same answer for a day, and is done once (`Idempotency-Key`).

The answer is part of the transaction that made what it tells of: there is never one without the other. Two such
requests at the same time both run, and the second one's answer finds the first's in its place: its transaction is
rolled back, and it answers what the first one did.
"""

import hashlib
from datetime import timedelta

from msgspec import Struct

from livia.services.context import Context, Deps, Refused
from livia.store import idempotency as store
from livia.store.idempotency import Answered

KEPT = timedelta(hours=24)
_LONGEST = 255


class Key(Struct, frozen=True):
    """Digests: of the key and whose it is, and of the request that it came with."""

    id: str
    fingerprint: str


def key(context: Context, text: str, *request: bytes) -> Key:
    """The key `text` of a caller. `request`: what must be the same when it comes again. Raises the 400."""
    if not text or len(text) > _LONGEST:
        raise Refused(400, f"Idempotency-Key must have 1 to {_LONGEST} characters, and has {len(text)}.")
    owner = (context.project_id or "", context.user_id or "", text)
    return Key(_digest(*(part.encode() for part in owner)), _digest(*request))


def answered(deps: Deps, wanted: Key) -> Answered | None:
    """The answer that the same request got before. Raises the 422 of another request with the same key."""
    with deps.database.read() as connection:
        found = store.answered(connection, wanted.id, deps.clock.now() - KEPT)
    if found is not None and found.fingerprint != wanted.fingerprint:
        raise Refused(422, "This Idempotency-Key came with another request within the last 24 hours: choose a new one.")
    return found


def keep(deps: Deps, wanted: Key, status: int, body: bytes) -> None:
    """Keep an answer, in the unit of its request. Raises IntegrityError when another request was faster."""
    now = deps.clock.now()
    answer = Answered(wanted.fingerprint, status, body)
    deps.database.transaction(lambda connection: store.add(connection, wanted.id, answer, now, now - KEPT))


def _digest(*parts: bytes) -> str:
    """A digest of byte strings that no other division into parts has."""
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()
