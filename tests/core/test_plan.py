"""The planner, by value: one snapshot in, one decision out."""

import pytest
from msgspec.structs import replace

from livia.core.model.amphora import Amphora, AmphoraHost, Role
from livia.core.model.load_balancer import LoadBalancer, Topology, Vip
from livia.core.model.status import AmphoraStatus, Operating, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.failover import judge
from livia.core.plan.load_balancer import Act, Action, Kind, Settled, Wait, decide, lasting
from livia.core.plan.placement import choose


def tree(
    *amphorae: Amphora,
    topology: Topology = Topology.ACTIVE_STANDBY,
    status: Provisioning = Provisioning.PENDING_CREATE,
    generation: int = 1,
    confirmed: int = 0,
) -> LoadBalancerTree:
    load_balancer = LoadBalancer(
        id="lb",
        project_id="p",
        provisioning_status=status,
        operating_status=Operating.OFFLINE,
        topology=topology,
        provider="amphora",
        vip=Vip(address="10.0.0.9", port_id="port", subnet_id="subnet", network_id="net"),
        generation=generation,
        confirmed_generation=confirmed,
    )
    return LoadBalancerTree(load_balancer=load_balancer, amphorae=amphorae)


def amphora(name: str, role: Role, *, applied: int = 1, **more: object) -> Amphora:
    """An amphora that serves, unless `more` says otherwise."""
    serving = Amphora(
        id=name,
        load_balancer_id="lb",
        role=role,
        status=AmphoraStatus.ALLOCATED,
        compute_id="host",
        vrrp_port_id=f"port-{name}",
        vrrp_ip="10.0.0.2",
        applied_generation=applied,
    )
    return replace(serving, **more)


def kinds(decision: object) -> list[tuple[Kind, str | None]]:
    assert isinstance(decision, Act)
    return [(action.kind, action.amphora_id) for action in decision.actions]


MASTER = amphora("m", Role.MASTER, holds_vip=True)
BACKUP = amphora("b", Role.BACKUP)
DEAD = replace(BACKUP, status=AmphoraStatus.ERROR)


def test_a_fresh_load_balancer_gets_both_amphorae_at_once() -> None:
    decision = decide(tree())
    assert isinstance(decision, Act)
    assert decision.actions == (Action(kind=Kind.ADD_AMPHORAE, roles=(Role.MASTER, Role.BACKUP)),)


def test_steps_of_a_creation() -> None:
    unplaced = [replace(each, compute_id=None, vrrp_port_id=None, applied_generation=0) for each in (MASTER, BACKUP)]
    assert kinds(decide(tree(*unplaced))) == [(Kind.PLACE, "m"), (Kind.PLACE, "b")]
    placed = [replace(each, applied_generation=0) for each in (MASTER, BACKUP)]
    assert kinds(decide(tree(*placed))) == [(Kind.APPLY, "m"), (Kind.APPLY, "b")]
    electing = [replace(each, holds_vip=False) for each in (MASTER, BACKUP)]
    assert kinds(decide(tree(*electing))) == [(Kind.OBSERVE, "m"), (Kind.OBSERVE, "b")]
    assert kinds(decide(tree(*electing), age=6.0)) == [(Kind.CONFIRM, None)]
    assert kinds(decide(tree(MASTER, BACKUP))) == [(Kind.CONFIRM, None)]
    active = tree(MASTER, BACKUP, status=Provisioning.ACTIVE, confirmed=1)
    assert isinstance(decide(active), Settled)


def test_only_what_lags_is_applied() -> None:
    changed = tree(
        replace(MASTER, applied_generation=2), BACKUP, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1
    )
    assert kinds(decide(changed)) == [(Kind.APPLY, "b")]


def test_a_dead_amphora_is_removed_while_its_replacement_is_made() -> None:
    decision = decide(tree(MASTER, DEAD, status=Provisioning.ACTIVE, confirmed=1))
    assert kinds(decision) == [(Kind.ADD_AMPHORAE, None), (Kind.REMOVE_AMPHORA, "b")]


def test_an_amphora_that_does_not_answer_holds_up_nothing() -> None:
    both = (MASTER, DEAD, amphora("n", Role.BACKUP, applied=1))
    decision = decide(tree(*both, status=Provisioning.ACTIVE, confirmed=1), abandoned=frozenset({"b"}))
    assert isinstance(decision, Wait)
    assert decision.settled


def test_a_planned_failover_replaces_one_at_a_time_and_the_one_without_the_vip_first() -> None:
    asked = [replace(each, replace_requested=True) for each in (MASTER, BACKUP)]
    now = tree(*asked, status=Provisioning.ACTIVE, confirmed=1)
    decision = decide(now)
    assert isinstance(decision, Act)
    assert decision.actions == (Action(kind=Kind.ADD_AMPHORAE, roles=(Role.BACKUP,)),)
    assert [each.id for each in lasting(now).amphorae] == ["m"]
    # The replaced one goes only when the newcomer has confirmed.
    with_newcomer = tree(*asked, amphora("n", Role.BACKUP, applied=0), status=Provisioning.ACTIVE, confirmed=1)
    assert kinds(decide(with_newcomer)) == [(Kind.APPLY, "n")]
    confirmed = tree(*asked, amphora("n", Role.BACKUP), status=Provisioning.ACTIVE, confirmed=1)
    assert kinds(decide(confirmed)) == [(Kind.REMOVE_AMPHORA, "b")]


def test_the_replaced_amphora_goes_before_the_load_balancer_is_active() -> None:
    replaced = amphora("b", Role.BACKUP, replace_requested=True)
    others = (replace(MASTER, applied_generation=2), amphora("n", Role.BACKUP, applied=2))
    now = tree(replaced, *others, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(now)) == [(Kind.REMOVE_AMPHORA, "b")]
    # One that does not answer keeps nobody waiting.
    assert kinds(decide(now, abandoned=frozenset({"b"}))) == [(Kind.CONFIRM, None)]


def test_deletion_removes_amphorae_then_the_load_balancer() -> None:
    deleting = tree(MASTER, BACKUP, status=Provisioning.PENDING_DELETE)
    assert kinds(decide(deleting)) == [(Kind.REMOVE_AMPHORA, "m"), (Kind.REMOVE_AMPHORA, "b")]
    silent = decide(deleting, abandoned=frozenset({"m", "b"}))
    assert isinstance(silent, Wait)
    assert "does not answer" in silent.reason
    assert kinds(decide(tree(status=Provisioning.PENDING_DELETE))) == [(Kind.REMOVE_LOAD_BALANCER, None)]


def host(name: str, *, amphorae: int = 0, **more: object) -> AmphoraHost:
    return replace(
        AmphoraHost(id=name, address="192.0.2.1", agent_port=9443, capacity=2, amphora_count=amphorae), **more
    )


@pytest.mark.parametrize(
    ("hosts", "zone", "avoid", "expected"),
    [
        ((host("a", amphorae=1), host("b")), None, frozenset(), "b"),
        ((host("a", amphorae=1), host("b")), None, frozenset({"b"}), "a"),
        ((host("a"),), None, frozenset({"a"}), "a"),
        ((host("a"), host("b", availability_zone="z")), "z", frozenset(), "b"),
        ((host("a", draining=True), host("b", amphorae=1)), None, frozenset(), "b"),
    ],
)
def test_placement(hosts: tuple[AmphoraHost, ...], zone: str | None, avoid: frozenset[str], expected: str) -> None:
    chosen = choose(hosts, zone=zone, avoid=avoid)
    assert isinstance(chosen, AmphoraHost)
    assert chosen.id == expected


@pytest.mark.parametrize(
    ("hosts", "zone", "sentence"),
    [
        ((), None, "No amphora host is alive"),
        ((host("a"),), "z", "availability zone z"),
        ((host("a", draining=True),), None, "being drained"),
        ((host("a", amphorae=2),), None, "All 1 amphora hosts are full"),
    ],
)
def test_no_placement_says_why(hosts: tuple[AmphoraHost, ...], zone: str | None, sentence: str) -> None:
    chosen = choose(hosts, zone=zone, avoid=frozenset())
    assert isinstance(chosen, str)
    assert sentence in chosen


def test_the_guard_bounds_failovers() -> None:
    silent = tuple(f"a{number:03}" for number in range(100))
    verdict = judge(silent, fleet=200, recent=5, listening=1000, timeout=60)
    assert len(verdict.replace) == 15
    assert len(verdict.held) == 85
    assert judge(silent[:2], fleet=2, recent=0, listening=1000, timeout=60).replace == silent[:2]
    young = judge(silent, fleet=200, recent=0, listening=59, timeout=60)
    assert young.replace == ()
    assert "59.0 s" in young.reason
