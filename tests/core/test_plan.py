"""The planner, by value: one snapshot in, one decision out."""

import pytest
from msgspec.structs import replace

from livia.core.model.amphora import Amphora, Role
from livia.core.model.load_balancer import LoadBalancer, Topology, Vip
from livia.core.model.pool import Algorithm, PersistenceType, Pool, PoolProtocol, SessionPersistence
from livia.core.model.status import AmphoraStatus, Operating, Provisioning
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Act, Action, Kind, Known, Settled, Wait, decide, lasting, living


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
    assert kinds(decide(tree(*electing), Known(age=6.0))) == [(Kind.CONFIRM, None)]
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
    decision = decide(tree(*both, status=Provisioning.ACTIVE, confirmed=1), Known(abandoned=frozenset({"b"})))
    assert isinstance(decision, Wait)
    assert decision.settled


def test_a_planned_failover_replaces_one_at_a_time_and_the_one_without_the_vip_first() -> None:
    asked = [replace(each, replace_requested=True) for each in (MASTER, BACKUP)]
    now = tree(*asked, status=Provisioning.ACTIVE, confirmed=1)
    decision = decide(now)
    assert isinstance(decision, Act)
    assert decision.actions == (Action(kind=Kind.ADD_AMPHORAE, roles=(Role.BACKUP,)),)
    assert [each.id for each in lasting(now).amphorae] == ["m"]
    # It serves on, and the others send it adverts: without them it would take the VIP.
    assert [each.id for each in living(now).amphorae] == ["m", "b"]
    # The replaced one goes only when the newcomer has confirmed.
    with_newcomer = tree(*asked, amphora("n", Role.BACKUP, applied=0), status=Provisioning.ACTIVE, confirmed=1)
    assert kinds(decide(with_newcomer)) == [(Kind.APPLY, "n")]
    confirmed = tree(*asked, amphora("n", Role.BACKUP), status=Provisioning.ACTIVE, confirmed=1)
    assert kinds(decide(confirmed)) == [(Kind.REMOVE_AMPHORA, "b")]


@pytest.mark.parametrize("topology", Topology)
def test_a_silent_one_that_may_serve_goes_only_when_its_replacement_has_confirmed(topology: Topology) -> None:
    role = Role.STANDALONE if topology is Topology.SINGLE else Role.MASTER
    others = () if topology is Topology.SINGLE else (BACKUP,)
    stopped = replace(MASTER, role=role, status=AmphoraStatus.FAILOVER_STOPPED, replace_requested=True)

    def step(*newcomers: Amphora) -> list[tuple[Kind, str | None]]:
        amphorae = (stopped, *others, *newcomers)
        # Its agent does not answer.
        silent = Known(silent=frozenset({"m"}))
        return kinds(decide(tree(*amphorae, topology=topology, status=Provisioning.ACTIVE, confirmed=1), silent))

    assert step() == [(Kind.ADD_AMPHORAE, None)]
    building = amphora("n", role, applied=0, status=AmphoraStatus.BOOTING)
    assert step(replace(building, compute_id=None, vrrp_port_id=None)) == [(Kind.PLACE, "n")]
    assert step(building) == [(Kind.APPLY, "n")]
    assert step(amphora("n", role)) == [(Kind.REMOVE_AMPHORA, "m")]


def test_the_replaced_amphora_goes_before_the_load_balancer_is_active() -> None:
    replaced = amphora("b", Role.BACKUP, replace_requested=True)
    others = (replace(MASTER, applied_generation=2), amphora("n", Role.BACKUP, applied=2))
    now = tree(replaced, *others, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(now)) == [(Kind.REMOVE_AMPHORA, "b")]
    # One that does not answer keeps nobody waiting.
    assert kinds(decide(now, Known(abandoned=frozenset({"b"})))) == [(Kind.CONFIRM, None)]


def test_deletion_removes_amphorae_then_the_load_balancer() -> None:
    deleting = tree(MASTER, BACKUP, status=Provisioning.PENDING_DELETE)
    assert kinds(decide(deleting)) == [(Kind.REMOVE_AMPHORA, "m"), (Kind.REMOVE_AMPHORA, "b")]
    silent = decide(deleting, Known(abandoned=frozenset({"m", "b"})))
    assert isinstance(silent, Wait)
    assert "does not answer" in silent.reason
    assert kinds(decide(tree(status=Provisioning.PENDING_DELETE))) == [(Kind.REMOVE_LOAD_BALANCER, None)]


def test_those_that_serve_learn_of_a_newcomer_before_it_starts() -> None:
    asked = replace(BACKUP, replace_requested=True)
    newcomer = amphora("n", Role.BACKUP, applied=0, status=AmphoraStatus.BOOTING)
    now = tree(MASTER, asked, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(now)) == [(Kind.APPLY, "m"), (Kind.APPLY, "b")]
    told = [replace(each, applied_generation=2) for each in (MASTER, asked)]
    now = tree(*told, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(now)) == [(Kind.APPLY, "n")]


def test_what_serves_is_kept_up_to_date_while_its_replacement_cannot_be_built() -> None:
    asked = replace(BACKUP, replace_requested=True)
    newcomer = amphora("n", Role.BACKUP, applied=0, status=AmphoraStatus.PENDING_CREATE, compute_id=None)
    stuck = Known(hindered=frozenset({"n"}))
    now = tree(MASTER, asked, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(now, stuck)) == [(Kind.APPLY, "m"), (Kind.APPLY, "b")]
    told = [replace(each, applied_generation=2) for each in (MASTER, asked)]
    now = tree(*told, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    # Clients meet what was changed: it is done, though the load balancer is not.
    assert kinds(decide(now, stuck)) == [(Kind.CONFIRM_PARTS, None)]
    waiting = decide(tree(*told, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=2), stuck)
    assert isinstance(waiting, Wait)
    assert not waiting.settled


@pytest.mark.parametrize("asked", ["replace_requested", "host_draining"])
def test_where_no_host_has_room_the_old_ones_stay(asked: str) -> None:
    pair = [replace(each, **{asked: True}) for each in (MASTER, BACKUP)]
    now = tree(*pair, status=Provisioning.ACTIVE, confirmed=1)
    assert kinds(decide(now)) == [(Kind.ADD_AMPHORAE, None)]
    left = decide(now, Known(full=True))
    assert isinstance(left, Wait)
    # A failover that somebody asked for ends in ERROR in time; a host that cannot be drained yet is no fault.
    assert left.settled is (asked == "host_draining")


def test_a_change_is_confirmed_on_a_host_that_cannot_be_drained_yet() -> None:
    pair = [replace(each, host_draining=True, applied_generation=2) for each in (MASTER, BACKUP)]
    changed = tree(*pair, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert kinds(decide(changed, Known(full=True))) == [(Kind.CONFIRM, None)]


def test_a_drained_host_is_left_one_amphora_at_a_time_and_the_one_with_the_vip_last() -> None:
    pair = [replace(each, host_draining=True) for each in (MASTER, BACKUP)]
    decision = decide(tree(*pair, status=Provisioning.ACTIVE, confirmed=1))
    assert isinstance(decision, Act)
    assert decision.actions[0].roles == (Role.BACKUP,)
    newcomer = amphora("n", Role.BACKUP, compute_id="elsewhere")
    assert kinds(decide(tree(*pair, newcomer, status=Provisioning.ACTIVE, confirmed=1))) == [(Kind.REMOVE_AMPHORA, "b")]
    decision = decide(tree(pair[0], newcomer, status=Provisioning.ACTIVE, confirmed=1))
    assert isinstance(decision, Act)
    assert decision.actions[0].roles == (Role.MASTER,)


def test_a_replacement_that_is_called_off_leaves_what_served_before() -> None:
    newcomer = amphora("a", Role.BACKUP, applied=0, status=AmphoraStatus.BOOTING)
    now = tree(MASTER, BACKUP, newcomer, status=Provisioning.PENDING_UPDATE, generation=2, confirmed=1)
    assert [each.id for each in lasting(now).amphorae] == ["m", "b"]
    # Finished, too: one of the two goes, and it is not the one with the VIP.
    serving = [amphora("a", Role.MASTER), MASTER, BACKUP]
    assert [each.id for each in lasting(tree(*serving)).amphorae] == ["m", "b"]


def test_an_unfinished_amphora_on_a_drained_host_is_given_up() -> None:
    unfinished = amphora("n", Role.BACKUP, applied=0, status=AmphoraStatus.BOOTING, host_draining=True)
    decision = decide(tree(MASTER, unfinished, status=Provisioning.PENDING_UPDATE, confirmed=1))
    assert kinds(decision) == [(Kind.ADD_AMPHORAE, None), (Kind.REMOVE_AMPHORA, "n")]


def test_a_dead_agent_holds_up_no_planned_failover() -> None:
    asked = replace(MASTER, replace_requested=True)
    now = tree(asked, BACKUP, replace(DEAD, id="d"), status=Provisioning.ACTIVE, confirmed=1)
    decision = decide(now, Known(abandoned=frozenset({"d"})))
    assert isinstance(decision, Act)
    assert decision.actions[0].roles == (Role.MASTER,)


def test_the_last_that_knows_the_clients_goes_when_another_knows_them() -> None:
    sticky = Pool(
        id="pool",
        load_balancer_id="lb",
        project_id="p",
        protocol=PoolProtocol.HTTP,
        lb_algorithm=Algorithm.ROUND_ROBIN,
        provisioning_status=Provisioning.ACTIVE,
        operating_status=Operating.ONLINE,
        session_persistence=SessionPersistence(type=PersistenceType.SOURCE_IP),
    )
    asked = replace(BACKUP, replace_requested=True)
    now = tree(MASTER, asked, amphora("n", Role.BACKUP), status=Provisioning.ACTIVE, confirmed=1)
    now = replace(now, pools=(sticky,))
    assert kinds(decide(now)) == [(Kind.OBSERVE, "m"), (Kind.OBSERVE, "n")]
    waiting = decide(now, Known(learned=frozenset({"m"}), learning=frozenset({"n"})))
    assert isinstance(waiting, Wait)
    assert "learns its clients" in waiting.reason
    assert kinds(decide(now, Known(learned=frozenset({"m", "n"})))) == [(Kind.REMOVE_AMPHORA, "b")]
