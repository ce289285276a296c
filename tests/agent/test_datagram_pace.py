"""How often flows are counted, and what a count that is a sample may say."""

from livia.agent.datagram import report
from livia.agent.datagram.pace import Pace
from tests.agent.datagrams import udp_listener, udp_pool
from tests.agent.lab import member, single


class _Clock:
    """Time and CPU, which pass when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.spent = 0.0


def _count(pace: Pace, clock: _Clock, name: str, cost: float) -> None:
    with pace.counting(name):
        clock.spent += cost


def test_counts_take_three_percent_of_a_core_however_much_each_costs() -> None:
    clock = _Clock()
    pace = Pace(lambda: clock.now, lambda: clock.spent)
    for cost in (0.012, 0.3):
        pace.forget("one")
        assert pace.due("one")
        _count(pace, clock, "one", cost)
        clock.now += cost / 0.03 * 0.99
        assert not pace.due("one")
        clock.now += cost / 0.03 * 0.02
        assert pace.due("one")


def test_all_amphorae_share_it_and_none_starves() -> None:
    clock = _Clock()
    pace = Pace(lambda: clock.now, lambda: clock.spent)
    names = [f"amphora-{number}" for number in range(100)]
    counted = dict.fromkeys(names, 0)
    for _ in range(1000):
        clock.now += 0.25
        for name in names:
            if pace.due(name):
                counted[name] += 1
                _count(pace, clock, name, 0.012)
    assert min(counted.values()) > 0
    assert max(counted.values()) - min(counted.values()) <= 1
    # All had their first count at once.
    assert clock.spent - 100 * 0.012 <= 0.03 * clock.now


def test_one_that_is_gone_costs_the_others_nothing() -> None:
    clock = _Clock()
    pace = Pace(lambda: clock.now, lambda: clock.spent)
    _count(pace, clock, "gone", 3.0)
    _count(pace, clock, "stays", 0.003)
    clock.now += 0.2
    assert not pace.due("stays")
    pace.forget("gone")
    assert pace.due("stays")


def _status(limit: int, flows: int, *, full: bool = False) -> str:
    listener = udp_listener(connection_limit=limit)
    spec = single((udp_pool(member(1)),), (listener,))
    return report.statuses(spec, {listener.id: flows}, full=full)[listener.id]


def test_a_listener_is_full_at_its_limit_exactly_where_flows_are_counted_one_by_one() -> None:
    assert _status(5, 4) == "OPEN"
    assert _status(5, 5) == "FULL"
    assert _status(-1, 100_000) == "OPEN"


def test_a_listener_that_is_full_stays_so_where_flows_are_estimated() -> None:
    assert _status(50_000, 49_500) == "FULL"
    assert _status(50_000, 45_000) == "OPEN"


def test_every_listener_is_full_when_the_kernel_follows_as_many_flows_as_it_may() -> None:
    assert _status(-1, 10, full=True) == "FULL"
