"""What operators ask of single amphorae, done by a worker (contract 70, sections 6 to 8)."""

from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import insert, select, update

from livia.core.drivers import Placement, Unreachable
from livia.core.model.amphora import Amphora, Role
from livia.core.model.tree import LoadBalancerTree
from livia.core.plan.load_balancer import Action, Kind
from livia.core.report import Applied
from livia.core.spec import Assignment
from livia.drivers.amphora.noop import NoopAmphorae
from livia.services import amphorae, failover
from livia.services.context import Context, Deps
from livia.store import amphorae as amphora_store
from livia.store import tables as t
from livia.store import trees
from livia.worker.outcome import Again, Done, Failed
from tests.api.harness import RecordingWake
from tests.database import NOW
from tests.worker.world import World

ORPHAN = "30000000-0000-4000-8000-000000000003"


def deps(world: World) -> Deps:
    return Deps(
        database=world.database,
        network=world.network,
        secrets=world.drivers.secrets,
        seal=world.drivers.seal,
        wake=RecordingWake(),
        clock=world.clock,
    )


def tree(world: World, key: str) -> LoadBalancerTree:
    with world.database.read() as connection:
        found = trees.load(connection, key)
    assert found is not None
    return found


def serving(directory: Path, topology: str) -> tuple[World, str]:
    """A load balancer that is ACTIVE, and its surroundings."""
    world = World(directory)
    key = world.load_balancer(topology)
    world.reconcile(key)
    return world, key


def status(world: World, amphora_id: str) -> str:
    with world.database.read() as connection:
        return str(connection.execute(select(t.amphora.c.status).where(t.amphora.c.id == amphora_id)).scalar_one())


@pytest.mark.parametrize(
    ("topology", "role"),
    [("SINGLE", Role.STANDALONE), ("ACTIVE_STANDBY", Role.MASTER), ("ACTIVE_STANDBY", Role.BACKUP)],
)
def test_one_amphora_is_replaced_and_gone_when_the_load_balancer_is_active(
    tmp_path: Path, topology: str, role: Role
) -> None:
    world, key = serving(tmp_path, topology)
    before = {each.role: each for each in tree(world, key).amphorae}
    amphorae.failover(deps(world), Context(), before[role].id)
    assert tree(world, key).load_balancer.provisioning_status == "PENDING_UPDATE"
    gone_when_confirmed: list[bool] = []

    def watch(action: Action) -> None:
        if action.kind is Kind.CONFIRM:
            gone_when_confirmed.append(status(world, before[role].id) == "DELETED")

    world.reconcile(key, watch)
    after = tree(world, key)
    assert gone_when_confirmed == [True]
    assert after.load_balancer.provisioning_status == "ACTIVE"
    assert sorted(each.role for each in after.amphorae) == sorted(before)
    assert {each.status for each in after.amphorae} == {"ALLOCATED"}
    changed = {each.role for each in after.amphorae if each.id != before[each.role].id}
    assert changed == {role}
    assert world.amphorae.present() == {each.id for each in after.amphorae}


def test_a_load_balancer_turns_active_once_in_its_failover(tmp_path: Path) -> None:
    world, key = serving(tmp_path, "ACTIVE_STANDBY")
    before = {each.id for each in tree(world, key).amphorae}
    failover.request(deps(world), Context(), key)
    log: list[Kind] = []
    world.reconcile(key, lambda action: log.append(action.kind))
    assert log.count(Kind.CONFIRM) == 1
    assert log[-1] is Kind.CONFIRM
    assert before & {each.id for each in tree(world, key).amphorae} == set()


def test_a_configuration_is_sent_again_and_nothing_else_happens(tmp_path: Path) -> None:
    world, key = serving(tmp_path, "ACTIVE_STANDBY")
    before = tree(world, key)
    amphorae.configure(deps(world), Context(), before.amphorae[0].id)
    log: list[tuple[Kind, str | None]] = []
    world.reconcile(key, lambda action: log.append((action.kind, action.amphora_id)))
    assert log == [(Kind.APPLY, before.amphorae[0].id)]
    assert tree(world, key) == before


def test_a_failed_amphora_that_somebody_deletes_is_replaced(tmp_path: Path) -> None:
    world, key = serving(tmp_path, "ACTIVE_STANDBY")
    failed = tree(world, key).amphorae[0].id
    with world.database.write() as connection:
        connection.execute(update(t.amphora).where(t.amphora.c.id == failed).values(status="ERROR"))
    amphorae.delete(deps(world), Context(), failed)
    assert status(world, failed) == "PENDING_DELETE"
    world.reconcile(key)
    assert status(world, failed) == "DELETED"
    after = tree(world, key)
    assert after.load_balancer.provisioning_status == "ACTIVE"
    assert len(after.amphorae) == 2


class SilentAgents:
    """Agents that do not answer."""

    def apply(self, placement: Placement, assignment: Assignment) -> Applied:
        raise Unreachable("The agent did not answer.")

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        raise Unreachable("The agent did not answer.")

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        raise Unreachable("The agent did not answer.")


def put_orphan(world: World) -> None:
    """A failed amphora that belongs to no load balancer, as an adopted database has it, and its port."""
    with world.database.write() as connection:
        row = {"compute_id": "host", "status": "ERROR", "created_at": NOW}
        connection.execute(insert(t.amphora).values(id=ORPHAN, **row))
        orphan = amphora_store.one(connection, ORPHAN)
    assert orphan is not None
    world.network.ensure_member_port(orphan, world.net.subnet_ids[0])


def test_an_amphora_without_a_load_balancer_is_removed(tmp_path: Path) -> None:
    world = World(tmp_path)
    put_orphan(world)
    amphorae.delete(deps(world), Context(), ORPHAN)
    world.reconcile(ORPHAN)
    assert (status(world, ORPHAN), world.ports()) == ("DELETED", [])
    assert isinstance(world.attempt(ORPHAN), Done)


class Fenced(SilentAgents):
    """The agent of an amphora that a load balancer's worker changed last, under a high fence."""

    def __init__(self) -> None:
        self.removed_with = 0

    def observe(self, placement: Placement, amphora_id: str) -> Applied | None:
        return Applied(
            amphora_id=amphora_id,
            load_balancer_id="gone",
            generation=3,
            digest="",
            fence=41,
            holds_vip=False,
            forwarding=True,
        )

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        self.removed_with = fence


def test_an_amphora_without_a_load_balancer_is_removed_under_the_fence_that_its_agent_knows(tmp_path: Path) -> None:
    world = World(tmp_path)
    put_orphan(world)
    amphorae.delete(deps(world), Context(), ORPHAN)
    agents = Fenced()
    assert isinstance(world.attempt(ORPHAN, agents=agents), Done)
    assert agents.removed_with == 41


class Slow(NoopAmphorae):
    """Agents of which one takes long to remove anything."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self._slow = slow
        self.release = Event()

    def remove(self, placement: Placement, amphora_id: str, fence: int) -> None:
        if amphora_id == self._slow:
            self.release.wait(20)
        super().remove(placement, amphora_id, fence)


def test_nobody_waits_for_an_agent_that_hangs_while_it_removes(tmp_path: Path) -> None:
    world, key = serving(tmp_path, "ACTIVE_STANDBY")
    dead = tree(world, key).amphorae[0].id
    with world.database.write() as connection:
        connection.execute(update(t.amphora).where(t.amphora.c.id == dead).values(status="ERROR"))
    agents = Slow(dead)
    seen: list[str] = []

    def watch(action: Action) -> None:
        if action.kind is Kind.CONFIRM:
            seen.append(status(world, dead))
            # The test ends with the removal.
            agents.release.set()

    outcome = world.attempt(key, agents=agents, before=watch)
    assert seen[0] == "ERROR"
    # Another look comes for it, unless it was gone before the end.
    assert isinstance(outcome, Again | Done)
    assert tree(world, key).load_balancer.provisioning_status == "ACTIVE"


def test_a_removal_that_fails_shows_error_and_is_tried_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    put_orphan(world)
    amphorae.delete(deps(world), Context(), ORPHAN)
    outcome = world.attempt(ORPHAN, agents=SilentAgents())
    assert isinstance(outcome, Failed)
    assert outcome.reason == "The agent did not answer."
    assert status(world, ORPHAN) == "ERROR"
    world.reconcile(ORPHAN)
    assert status(world, ORPHAN) == "DELETED"


def test_a_key_that_is_nothing_is_done(tmp_path: Path) -> None:
    world, key = serving(tmp_path, "SINGLE")
    bound: Amphora = tree(world, key).amphorae[0]
    for name in (bound.id, ORPHAN):
        assert isinstance(world.attempt(name), Done)
    assert status(world, bound.id) == "ALLOCATED"
