"""What health reads before it writes statuses: of many load balancers at once, only what statuses follow from."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import json
from sqlalchemy import Connection, Table, bindparam, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from livia.core.model.status import AmphoraStatus, Operating, Provisioning
from livia.core.rules.operating_status import AmphoraPart, Observed, Part, PoolPart
from livia.store import tables as t
from livia.store.aggregates import packed

_NAMED = t.amphora.alias()
_BESIDE = select(
    t.amphora.c.id, t.amphora.c.load_balancer_id, t.amphora.c.holds_vip, t.amphora.c.applied_generation
).where(
    t.amphora.c.load_balancer_id.in_(
        select(_NAMED.c.load_balancer_id).where(_NAMED.c.id.in_(bindparam("ids", expanding=True)))
    ),
    t.amphora.c.status != AmphoraStatus.DELETED,
)


def amphorae_beside(connection: Connection, amphora_ids: Iterable[str]) -> dict[str, dict[str, AmphoraPart]]:
    """The load balancers of these amphorae (at most 1,000), each with all of its, by id."""
    found: dict[str, dict[str, AmphoraPart]] = defaultdict(dict)
    for key, owner, holds_vip, applied in connection.execute(_BESIDE, {"ids": sorted(amphora_ids)}):
        found[owner][key] = AmphoraPart(holds_vip, applied)
    return found


def standing(connection: Connection, ids: Iterable[str]) -> dict[str, tuple[bool, Provisioning, int]]:
    """Of each load balancer whether it is enabled, its provisioning status and its generation: who reads the same as
    before knows that the rest is the same, too, but for what health managers write."""
    top = t.load_balancer.c
    query = select(top.id, top.enabled, top.provisioning_status, top.generation).where(top.id.in_(sorted(ids)))
    return {
        key: (enabled, Provisioning(status), generation)
        for key, enabled, status, generation in connection.execute(query)
    }


def load(
    connection: Connection, amphorae: Mapping[str, Mapping[str, AmphoraPart]], settled: Mapping[str, int]
) -> list[Observed]:
    """The load balancers of `amphorae` that there still are, in four statements, and one for each of `settled`.

    `settled`: load balancers to the generation up to which the rows of their members say what is reported. Of their
    members only those are read that are newer, and those in ERROR, which their pools show: a thousand others cost more
    than all the rest. Not of a disabled load balancer, whose members have another status whatever is reported.
    """
    ids = sorted(amphorae)
    top = t.load_balancer.c
    rows = connection.execute(
        select(top.id, top.enabled, top.operating_status, top.provisioning_status, top.generation).where(
            top.id.in_(ids), top.provisioning_status != Provisioning.DELETED
        )
    ).all()
    # A database that was restored from a backup knows less than what was settled.
    known = {
        key: settled[key] for key, enabled, *_, newest in rows if enabled and key in settled and settled[key] <= newest
    }
    listeners = _parts(connection, t.listener, ids, t.listener.c.load_balancer_id)
    members = _parts(connection, t.member, [each for each in ids if each not in known], t.member.c.pool_id)
    for key, generation in known.items():
        _add_news(connection, members, key, generation)
    pools = _pools(connection, ids, members)
    return [
        Observed(
            id=key,
            enabled=enabled,
            operating_status=Operating(status),
            provisioning_status=Provisioning(provisioning),
            generation=generation,
            listeners=tuple(listeners[key]),
            pools=tuple(pools[key]),
            amphorae=amphorae[key],
            partial=key in known,
        )
        for key, enabled, status, provisioning, generation in rows
    ]


_OF_MEMBER = (t.member.c.id, t.member.c.operating_status, t.member.c.generation, t.member.c.enabled, t.member.c.pool_id)
_NEWS = select(*_OF_MEMBER).where(
    t.member.c.load_balancer_id == bindparam("owner"),
    or_(t.member.c.generation > bindparam("settled"), t.member.c.operating_status == Operating.ERROR),
)


def _add_news(connection: Connection, members: dict[str, list[Part]], key: str, settled: int) -> None:
    for member, status, generation, enabled, pool in connection.execute(_NEWS, {"owner": key, "settled": settled}):
        members[pool].append(Part(member, Operating(status), generation, enabled))


def _pools(connection: Connection, ids: Sequence[str], members: dict[str, list[Part]]) -> dict[str, list[PoolPart]]:
    found: dict[str, list[PoolPart]] = defaultdict(list)
    of = t.pool.c
    query = select(of.id, of.operating_status, of.generation, of.load_balancer_id).where(of.load_balancer_id.in_(ids))
    for key, status, generation, owner in connection.execute(query):
        found[owner].append(PoolPart(key, Operating(status), generation, tuple(members[key])))
    return found


# Not strict: 0 and 1 are booleans to databases.
_decode_parts = json.Decoder(list[tuple[str, Operating, int, bool, str]], strict=False).decode


def _parts(
    connection: Connection, table: Table, ids: Sequence[str], parent: ColumnElement[str]
) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = defaultdict(list)
    if not ids:
        return found
    of = table.c
    # One text for all of a load balancer: drivers take longer over a row than everybody else over what is in it.
    parts = func.aggregate_strings(packed(of.id, of.operating_status, of.generation, of.enabled, parent), ",")
    query = select(parts).where(of.load_balancer_id.in_(ids)).group_by(of.load_balancer_id)
    for text in connection.execute(query).scalars():
        for key, status, generation, enabled, owner in _decode_parts(f"[{text}]"):
            found[owner].append(Part(key, status, generation, enabled))
    return found
