"""The `server` lines of an amphora's file as they were last worded: the next file words only what is another."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from livia.agent.familiar import apart
from livia.agent.haproxy.server import ids, server_lines
from livia.core.spec import PoolSpec


class _Worded(Struct, frozen=True):
    """A pool, HAProxy's ids of its servers, and their lines, in the order of its members."""

    pool: PoolSpec
    numbers: Mapping[str, int]
    lines: list[str]


class Written:
    """Of one amphora. What it answers does not depend on what it was asked before."""

    def __init__(self) -> None:
        self._worded: dict[str, _Worded] = {}

    def lines(self, pool: PoolSpec) -> list[str]:
        """The lines of a pool's members."""
        known = self._worded.get(pool.id)
        worded = self._worded[pool.id] = _worded(pool) if known is None else _reworded(known, pool)
        return worded.lines

    def keep(self, pool_ids: Iterable[str]) -> None:
        """Forget all other pools."""
        self._worded = {each: self._worded[each] for each in pool_ids if each in self._worded}


def _worded(pool: PoolSpec) -> _Worded:
    numbers = ids(pool)
    return _Worded(pool, numbers, server_lines(pool, pool.members, numbers))


def _reworded(known: _Worded, pool: PoolSpec) -> _Worded:
    if replace(known.pool, members=()) != replace(pool, members=()):
        # What all of them say is another, perhaps.
        return _worded(pool)
    there, here = apart(known.pool.members, pool.members)
    fresh, numbers = pool.members[here], known.numbers
    if {member.id for member in known.pool.members[there]} != {member.id for member in fresh}:
        numbers = ids(pool)
        if any(numbers.get(name, number) != number for name, number in known.numbers.items()):
            # One of them had the checksum of another.
            return _worded(pool)
    lines = [*known.lines[: there.start], *server_lines(pool, fresh, numbers), *known.lines[there.stop :]]
    return _Worded(pool, numbers, lines)
