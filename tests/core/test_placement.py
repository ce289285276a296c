"""Placement, by value and by property: pairs apart, load and VIPs spread, and what the loss of a host costs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from livia.core.model.amphora import AmphoraHost
from livia.core.plan.placement import NO_PLACE, Loss, Placed, Wanted, choose, losses


def host(name: str, *, amphorae: int = 0, **more: object) -> AmphoraHost:
    made = AmphoraHost(id=name, address="192.0.2.1", agent_port=9443, capacity=2, amphora_count=amphorae)
    return replace(made, **more)


@pytest.mark.parametrize(
    ("hosts", "wanted", "expected"),
    [
        ((host("a", amphorae=1), host("b")), Wanted(), "b"),
        ((host("a", amphorae=1), host("b")), Wanted(beside=frozenset({"b"})), "a"),
        ((host("a"),), Wanted(beside=frozenset({"a"})), "a"),
        ((host("a"), host("b", availability_zone="z")), Wanted(zone="z"), "b"),
        ((host("a", draining=True), host("b", amphorae=1)), Wanted(), "b"),
        # Another zone than the other amphora has, even where more is.
        (
            (
                host("a", availability_zone="x"),
                host("b", availability_zone="x"),
                host("c", availability_zone="y", amphorae=1),
            ),
            Wanted(beside=frozenset({"a"})),
            "c",
        ),
        # As many amphorae, and fewer of them serve.
        ((host("a", amphorae=1, serving=1), host("b", amphorae=1)), Wanted(serving=True), "b"),
        ((host("a", amphorae=1, serving=1), host("b", amphorae=1)), Wanted(), "a"),
    ],
)
def test_placement(hosts: tuple[AmphoraHost, ...], wanted: Wanted, expected: str) -> None:
    chosen = choose(hosts, wanted)
    assert isinstance(chosen, AmphoraHost)
    assert chosen.id == expected


@pytest.mark.parametrize(
    ("hosts", "zone", "sentence"),
    [
        ((), None, "No amphora host is alive"),
        ((host("a"),), "z", "availability zone z"),
        (
            (host("a", draining=True),),
            None,
            "Every amphora host is being drained: undrain or add one (livia host undrain, add).",
        ),
        (
            (host("a", availability_zone="z", draining=True), host("b")),
            "z",
            "Every amphora host of availability zone z is being drained: undrain",
        ),
        ((host("a", amphorae=2),), None, "The only amphora host is full: raise its capacity ([livia] host_capacity)"),
        (
            (host("a", amphorae=2, availability_zone="z"), host("b", amphorae=2, availability_zone="z"), host("c")),
            "z",
            "Each of 2 amphora hosts of availability zone z is full",
        ),
    ],
)
def test_no_placement_says_why(hosts: tuple[AmphoraHost, ...], zone: str | None, sentence: str) -> None:
    chosen = choose(hosts, Wanted(zone=zone))
    assert isinstance(chosen, str)
    assert sentence in chosen
    assert NO_PLACE in chosen


class Site:
    """Hosts of one capacity that fill up."""

    def __init__(self, count: int, capacity: int) -> None:
        self.hosts = {f"h{number:02}": host(f"h{number:02}", capacity=capacity) for number in range(count)}
        self.placed: list[Placed] = []

    def room(self) -> int:
        return sum(each.capacity - each.amphora_count for each in self.hosts.values())

    def add(self, roles: int) -> None:
        """A load balancer of one or two amphorae, the first of which serves."""
        key, beside = f"lb{len(self.placed)}", frozenset[str]()
        for number in range(roles):
            serving = number == 0
            chosen = choose(tuple(self.hosts.values()), Wanted(beside=beside, serving=serving))
            assert isinstance(chosen, AmphoraHost)
            self.hosts[chosen.id] = replace(
                chosen, amphora_count=chosen.amphora_count + 1, serving=chosen.serving + serving
            )
            self.placed.append(Placed(load_balancer_id=key, host_id=chosen.id, serving=serving))
            beside |= {chosen.id}


@given(count=st.integers(2, 6), capacity=st.integers(1, 8), wanted=st.lists(st.sampled_from([1, 2, 2, 2]), max_size=40))
def test_no_pair_shares_a_host_while_capacity_allows(count: int, capacity: int, wanted: list[int]) -> None:
    site = Site(count, capacity)
    for roles in wanted:
        if site.room() >= roles:
            site.add(roles)
    pairs = Counter(each.load_balancer_id for each in site.placed)
    homes = {(each.load_balancer_id, each.host_id) for each in site.placed}
    assert len(homes) == sum(pairs.values())
    loads = [each.amphora_count for each in site.hosts.values()]
    assert max(loads) - min(loads) <= 1


@given(count=st.integers(2, 6), pairs=st.integers(1, 40))
def test_the_loss_of_the_worst_host_interrupts_no_more_than_it_must(count: int, pairs: int) -> None:
    site = Site(count, 1000)
    for _number in range(pairs):
        site.add(2)
    worst = losses(site.placed)[0]
    assert worst.down == 0
    # One more than an even spread at most.
    assert worst.interrupted <= -(-pairs // count) + 1


def test_what_the_loss_of_a_host_costs() -> None:
    placed = [
        Placed(load_balancer_id="pair", host_id="a", serving=True),
        Placed(load_balancer_id="pair", host_id="b", serving=False),
        Placed(load_balancer_id="together", host_id="b", serving=True),
        Placed(load_balancer_id="together", host_id="b", serving=False),
        Placed(load_balancer_id="single", host_id="b", serving=False),
    ]
    assert losses(placed) == (
        Loss(host_id="b", load_balancers=3, down=2, interrupted=2),
        Loss(host_id="a", load_balancers=3, down=0, interrupted=1),
    )
    assert losses(placed)[0].share == pytest.approx(2 / 3)
    assert losses([]) == ()
