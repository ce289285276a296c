"""Which members take new flows and in which order, and what is told of them."""

import itertools
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from livia.agent.datagram import report
from livia.agent.datagram.choice import least_loaded, turns
from livia.agent.datagram.pace import Pace
from livia.agent.datagram.packets import Packets
from livia.agent.datagram.ruleset import render
from livia.agent.datagram.service import mark_of, services
from livia.agent.datagram.table import Loaded, digests, transaction
from livia.agent.haproxy.change import plan
from livia.agent.haproxy.servers import AtRuntime, Surroundings
from livia.agent.plumbing import kernel
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType
from livia.core.spec import Spec
from tests.agent.datagrams import udp_listener, udp_pool
from tests.agent.lab import member, monitor, pool, single

_WEIGHTS = st.lists(st.integers(1, 256), min_size=1, max_size=20)


class Dead:
    """Verdicts of health checks by which some members are dead."""

    def __init__(self, *members: str) -> None:
        self._members = members

    def up(self, pool_id: str, member_id: str) -> bool:
        return member_id not in self._members

    def text(self, pool_id: str, member_id: str) -> str:
        return "UP" if self.up(pool_id, member_id) else "DOWN 1/2"


@given(_WEIGHTS)
def test_a_round_has_each_member_as_often_as_its_weight_says(weights: list[int]) -> None:
    order = Counter(turns(list(enumerate(weights, 1))))
    smallest = min(range(len(weights)), key=lambda index: weights[index])
    factor = weights[smallest] / order[smallest + 1]
    assert {mark: count * factor for mark, count in order.items()} == dict(enumerate(map(float, weights), 1))


def test_turns_are_spread_over_the_round() -> None:
    assert turns([(1, 200), (2, 100)]) == [1, 2, 1]
    assert turns([(1, 3), (2, 2), (3, 1)])[:3] != [1, 1, 1]


@given(_WEIGHTS, st.lists(st.integers(0, 50), min_size=20, max_size=20))
def test_least_loaded_members_are_always_next(weights: list[int], flows: list[int]) -> None:
    load = dict(enumerate(flows, 1))
    members = list(enumerate(weights, 1))
    for mark in least_loaded(members, load):
        assert (load[mark] + 1) / weights[mark - 1] <= min((load[m] + 1) / w for m, w in members) * 1.000001
        load[mark] += 1


def _spec(**changes: object) -> Spec:
    members = (member(1, port=53), member(2, port=53), member(3, port=53, backup=True))
    return single((udp_pool(*members, monitor=monitor(type=MonitorType.TCP), **changes),), (udp_listener(),))


def _pick(spec: Spec, *dead: str) -> str:
    return "\n".join(render(spec, Dead(*dead), {}).contents["chain", "pick4-udp-1"])


def _marks(spec: Spec) -> list[str]:
    service = next(services(spec))
    return [f"{mark_of(service.listener, each):#x}" for each in service.members]


def test_dead_members_take_nothing_and_keep_nothing() -> None:
    spec = _spec()
    one, two, three = _marks(spec)
    for dead, chosen in (((), (one, two)), (("m1",), (two,)), (("m1", "m2"), (three,)), (("m1", "m2", "m3"), ())):
        text = _pick(spec, *dead)
        assert [mark for mark in (one, two, three) if mark in text] == list(chosen)
        carried = {f"{mark:#x}" for mark in render(spec, Dead(*dead), {}).marks}
        assert carried == {mark for mark, name in ((one, "m1"), (two, "m2"), (three, "m3")) if name not in dead}
    assert _pick(spec, "m1", "m2", "m3") == "reject with icmpx port-unreachable"


def test_a_death_moves_only_the_clients_of_the_dead() -> None:
    spec = _spec(algorithm=Algorithm.SOURCE_IP)
    rule = _pick(spec).splitlines()[0]
    assert _pick(spec, "m1").splitlines()[0] == rule


def test_a_pool_is_down_when_nobody_is_left_of_it() -> None:
    spec = _spec()
    name = "udp-pool:udp-1"
    assert report.pools(spec, Dead("m1"))[name].members == {"m1": "DOWN 1/2", "m2": "UP", "m3": "UP"}
    assert [report.pools(spec, Dead(*dead))[name].status for dead in (("m1", "m2"), ("m1", "m2", "m3"))] == [
        "UP",
        "DOWN",
    ]


def test_a_checked_pool_without_members_is_not_down() -> None:
    """Tenants make the monitor before the members as often as after them."""
    spec = _spec()
    empty = replace(spec, pools=tuple(replace(each, members=()) for each in spec.pools))
    assert [each.monitor is not None for each in empty.pools] == [True]
    assert [each.status for each in report.pools(empty, Dead()).values()] == ["UP"]


def test_nothing_is_changed_where_nothing_differs() -> None:
    wanted = render(_spec(), Dead(), {})
    assert transaction(Loaded(set(wanted.objects), digests(wanted)), wanted) == ""
    assert render(single((), ()), Dead(), {}).objects == {}


def test_datagrams_are_no_concern_of_haproxys() -> None:
    streams = single((pool(member(1)),))
    both = replace(streams, listeners=(*streams.listeners, *_spec().listeners), pools=(*streams.pools, *_spec().pools))
    assert plan(streams, both, Surroundings()) == AtRuntime()
    assert plan(both, streams, Surroundings()) == AtRuntime()


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"lt{uuid4().hex[:8]}-rules"
    kernel.add(name)
    try:
        yield name
    finally:
        kernel.delete(name)


def test_the_kernel_takes_every_change_of_listeners(namespace: str) -> None:
    members = pool(member(1), member(2))
    udp = [udp_listener(id=f"udp-{number}", port=number, default_pool_id="pool-1") for number in (1, 2)]
    sctp = udp_listener(id="sctp", port=3, protocol=ListenerProtocol.SCTP, default_pool_id=None)
    sets = [listeners for count in range(4) for listeners in itertools.combinations((*udp, sctp), count)]
    packets = Packets(namespace, Dead(), Pace())
    packets.begin()
    try:
        for before, after in itertools.permutations(sets, 2):
            for listeners in (before, after):
                spec = single((members,), listeners)
                packets.apply(spec)
                assert set(packets.look(spec).readings) == {each.id for each in listeners}
    finally:
        packets.close()
