"""Which silent amphorae to replace now: the guard against mass failovers (design, section 9)."""

from msgspec import Struct

#: seconds over which failovers are counted
WINDOW = 60.0
#: of the fleet, at most this share is failed over within the window
SHARE = 0.1
#: and always this many: a small installation is whole again at once, and ten amphorae are built in a second
LEAST = 10


class Verdict(Struct, frozen=True, kw_only=True):
    """`replace` now; `held` are silent too, and left alone because of `reason`."""

    replace: tuple[str, ...]
    held: tuple[str, ...]
    reason: str


def judge(silent: tuple[str, ...], *, fleet: int, recent: int, listening: float, timeout: float) -> Verdict:
    """`recent`: failovers within the window; `listening`: seconds that we have listened without a break.

    Who slept, or lost its database, has heard nobody: it declares nobody dead before a full timeout.
    """
    if not silent:
        return Verdict(replace=(), held=(), reason="every amphora reports")
    if listening < timeout:
        reason = f"listening for {listening:.1f} s only, less than the timeout of {timeout:.0f} s"
        return Verdict(replace=(), held=silent, reason=reason)
    allowed = max(0, max(LEAST, int(fleet * SHARE)) - recent)
    reason = f"{len(silent)} of {fleet} amphorae are silent, {allowed} may be replaced within {WINDOW:.0f} s"
    return Verdict(replace=silent[:allowed], held=silent[allowed:], reason=reason)
