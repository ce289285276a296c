"""Members that a change leaves alone, told from the others at next to no cost.

Each change brings the whole spec, decoded anew. Its members that are known are exchanged for the objects that they are
known as, once; from there on what has not changed is the same object, and the rest of the work is for what has. Only
speed relies on that: equal members that are not the same object are looked at as if they were new.
"""

from collections.abc import Sequence
from operator import is_not
from typing import TypeVar

from msgspec.structs import replace

from livia.core.spec import PoolSpec, Spec

_T = TypeVar("_T")


def familiar(spec: Spec, known: Spec) -> Spec:
    """`spec`, with those of its members that `known` has as well being the same objects."""
    pools = {pool.id: pool for pool in known.pools}
    return replace(
        spec, pools=tuple(_familiar(pool, pools[pool.id]) if pool.id in pools else pool for pool in spec.pools)
    )


def _familiar(pool: PoolSpec, known: PoolSpec) -> PoolSpec:
    named = {member.id: member for member in known.members}
    members = [
        before if (before := named.get(member.id)) == member and before is not None else member
        for member in pool.members
    ]
    return replace(pool, members=tuple(members))


def apart(old: Sequence[_T], new: Sequence[_T]) -> tuple[slice, slice]:
    """Where two sequences differ: the part of each that remains without the objects that both begin with, and those
    that both end with."""
    most = min(len(old), len(new))
    front = _same(old[:most], new[:most])
    back = _same(old[front:][::-1], new[front:][::-1])
    return slice(front, len(old) - back), slice(front, len(new) - back)


def _same(one: Sequence[_T], other: Sequence[_T]) -> int:
    """How many objects both begin with."""
    different = list(map(is_not, one, other))
    return different.index(True) if True in different else len(different)
