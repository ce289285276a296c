"""How a new flow finds its member: the order of turns, and the rules that take them. Pure."""

import heapq
from collections.abc import Mapping, Sequence
from functools import reduce
from ipaddress import ip_address
from itertools import groupby
from math import gcd
from typing import TypeAlias

from livia.agent.datagram.service import Family, Service
from livia.core.model.pool import Algorithm, PersistenceType
from livia.core.spec import PersistenceSpec

#: (mark, weight) of a member that takes new flows
Candidate: TypeAlias = tuple[int, int]

#: so that both amphorae of a pair choose alike; and another choice where the first one is dead
_SEED, _SECOND_SEED = 0x5EED, 0x5EED2
#: up to so many turns are mixed; above, each member has all of its in a row
_MOST_TURNS = 1024
#: turns of LEAST_CONNECTIONS that are worked out from one count of flows
_LEAST_TURNS = 128
#: seconds (contract 95, section 6)
_STICKY = 360
_LONGEST = 2073600


def shares(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same ratios in the smallest numbers."""
    divisor = reduce(gcd, (weight for _mark, weight in candidates))
    return [(mark, weight // divisor) for mark, weight in candidates]


def turns(candidates: Sequence[Candidate]) -> list[int]:
    """Marks in the order of a weighted round: each as often as its weight says, and spread over the round."""
    smallest = shares(candidates)
    if sum(weight for _mark, weight in smallest) > _MOST_TURNS:
        return [mark for mark, weight in smallest for _ in range(weight)]
    return [
        mark for _when, mark in sorted(((k + 0.5) / weight, mark) for mark, weight in smallest for k in range(weight))
    ]


def least_loaded(candidates: Sequence[Candidate], flows: Mapping[int, int]) -> list[int]:
    """The marks that least-connections would take in turn from now on, if no flow ended meanwhile."""
    queue = [((flows.get(mark, 0) + 1) / weight, mark, weight) for mark, weight in candidates]
    heapq.heapify(queue)
    chosen = []
    for _ in range(max(_LEAST_TURNS, 2 * len(candidates))):
        load, mark, weight = queue[0]
        chosen.append(mark)
        heapq.heapreplace(queue, (load + 1 / weight, mark, weight))
    return chosen


def _table(order: Sequence[int]) -> str:
    """`mod 6 map { 0-2 : 0x1, ... }`"""
    elements, start = [], 0
    for mark, run in groupby(order):
        end = start + sum(1 for _ in run)
        elements.append(f"{start if end - start == 1 else f'{start}-{end - 1}'} : {mark:#x}")
        start = end
    return f"map {{ {', '.join(elements)} }}"


def _hashed(key: str, candidates: Sequence[Candidate], seed: int) -> str:
    order = [mark for mark, weight in shares(sorted(candidates)) for _ in range(weight)]
    return f"meta mark 0 meta mark set jhash {key} mod {len(order)} seed {seed:#x} {_table(order)}"


def _in_turn(order: Sequence[int]) -> str:
    return f"meta mark 0 meta mark set numgen inc mod {len(order)} {_table(order)}"


def sticky(service: Service) -> PersistenceSpec | None:
    """How clients are kept at their members, if they are."""
    persistence = service.pool.persistence if service.pool is not None else None
    return persistence if persistence is not None and persistence.type is PersistenceType.SOURCE_IP else None


def sticky_map(service: Service) -> str:
    """The definition of the map that remembers clients."""
    return f"type {service.family.type} : mark; size 65536; flags dynamic,timeout;"


def _mask(family: Family, persistence: PersistenceSpec) -> str | None:
    """The netmask of clients that count as one; None when every address is a client of its own."""
    if persistence.granularity is None:
        return None
    mask = ip_address(persistence.granularity)
    return str(mask) if mask.version == family.version and int(mask) != 2**mask.max_prefixlen - 1 else None


def _hashed_part(family: Family, persistence: PersistenceSpec) -> str:
    """What of a client's address is the same for all clients that count as one: whole bytes, as jhash reads them."""
    mask = _mask(family, persistence)
    if mask is None:
        return f"{family.word} saddr"
    packed = ip_address(mask).packed
    same = len(packed) - len(packed.lstrip(b"\xff"))
    # All clients are one, or nearly: the VIP is what they have in common.
    return f"@nh,{family.source},{same * 8}" if same else f"{family.word} daddr"


def _hash_key(service: Service, algorithm: Algorithm, *, paired: bool) -> str | None:
    """What of a packet its member follows from; None where members take turns."""
    family, persistence = service.family, sticky(service)
    if persistence is not None and (paired or algorithm in (Algorithm.SOURCE_IP, Algorithm.SOURCE_IP_PORT)):
        # What one amphora remembers the other does not: it has to come to the same choice.
        return _hashed_part(family, persistence)
    if algorithm is Algorithm.SOURCE_IP:
        return f"{family.word} saddr"
    if algorithm is Algorithm.SOURCE_IP_PORT:
        return f"{family.word} saddr . {service.transport.word} sport"
    return None


def rules(
    service: Service,
    candidates: Sequence[Candidate],
    steady: Sequence[Candidate],
    flows: Mapping[int, int],
    *,
    paired: bool,
) -> list[str]:
    """Rules that end with the chosen member's mark on the packet.

    `candidates`: who takes new flows, at least one; `steady`: the same with those that are only dead now, so that a
    member's death moves none but its own clients. `flows` by mark; `paired`: another amphora must choose alike.
    """
    marks = f"{{ {', '.join(f'{mark:#x}' for mark, _weight in sorted(candidates))} }}"
    elsewhere = f"meta mark != 0 meta mark != {marks} meta mark set 0"
    family, persistence = service.family, sticky(service)
    algorithm = service.pool.algorithm if service.pool is not None else Algorithm.ROUND_ROBIN
    lines: list[str] = []
    if persistence is not None:
        client, remembered = _client(family, persistence), service.name("sticky")
        # `update` leaves an element that is there the mark that it has: whose member is gone, or takes nobody, would be
        # sent to another with every flow.
        forgotten = f"meta mark != 0 meta mark != {marks} delete @{remembered} {{ {client} : meta mark }}"
        lines += [f"meta mark set {client} map @{remembered}", f"{forgotten} meta mark set 0"]
    key = _hash_key(service, algorithm, paired=paired)
    if key is not None:
        lines += [_hashed(key, steady, _SEED)]
        if set(steady) != set(candidates):
            lines += [elsewhere, _hashed(key, candidates, _SECOND_SEED)]
    elif algorithm is Algorithm.LEAST_CONNECTIONS:
        lines.append(_in_turn(least_loaded(candidates, flows)))
    else:
        lines.append(_in_turn(turns(candidates)))
    if persistence is not None:
        lines.append(f"update @{service.name('sticky')} {{ {client} timeout {_seconds(persistence)}s : meta mark }}")
    return lines


def _client(family: Family, persistence: PersistenceSpec) -> str:
    mask = _mask(family, persistence)
    return f"{family.word} saddr & {mask}" if mask is not None else f"{family.word} saddr"


def _seconds(persistence: PersistenceSpec) -> int:
    asked = persistence.timeout or 0
    return min(asked, _LONGEST) if asked > 0 else _STICKY
