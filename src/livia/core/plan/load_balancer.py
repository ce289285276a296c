"""What to do next about one load balancer (design, section 6).

`decide` sees one snapshot and answers with actions, a wait, or that all is done; it is asked again after each
batch. Each action is idempotent and each prefix of a plan is safe: whatever was done stays right, and a later
`decide` finds what is left. An invariant runs through all: the amphora that serves is neither changed away
from what was confirmed nor removed before its replacement has confirmed.
"""

from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from livia.core.model.amphora import Amphora, Role
from livia.core.model.load_balancer import Topology
from livia.core.model.status import AmphoraStatus, Provisioning
from livia.core.model.tree import LoadBalancerTree

ROLES = {Topology.SINGLE: (Role.STANDALONE,), Topology.ACTIVE_STANDBY: (Role.MASTER, Role.BACKUP)}

#: seconds between two looks at an election; three adverts of 0.1 s and the skew make about 0.3 s
_ELECTION_POLL = 0.03
#: seconds after which an election that nobody won holds up nothing any more
_ELECTION_LIMIT = 5.0
#: seconds before another try to remove what does not answer
_ABANDONED_RETRY = 30.0


class Kind(StrEnum):
    """What an action does; each is one method of the worker's runner."""

    ADD_AMPHORAE = "add_amphorae"
    PLACE = "place"
    APPLY = "apply"
    OBSERVE = "observe"
    REMOVE_AMPHORA = "remove_amphora"
    CONFIRM = "confirm"
    REMOVE_LOAD_BALANCER = "remove_load_balancer"


class Action(Struct, frozen=True, kw_only=True):
    """One thing to do. `roles` is for ADD_AMPHORAE, `amphora_id` for what concerns one amphora."""

    kind: Kind
    amphora_id: str | None = None
    roles: tuple[Role, ...] = ()


class Act(Struct, frozen=True, kw_only=True):
    """Do these, at the same time if you like, then look again."""

    actions: tuple[Action, ...]
    reason: str


class Wait(Struct, frozen=True, kw_only=True):
    """Nothing can be done for `after` seconds. `settled`: the load balancer is as wanted, only rests remain."""

    after: float
    reason: str
    settled: bool = False


class Settled(Struct, frozen=True, kw_only=True):
    """All is as it should be."""

    reason: str


Decision: TypeAlias = Act | Wait | Settled


def decide(tree: LoadBalancerTree, *, abandoned: frozenset[str] = frozenset(), age: float = 0.0) -> Decision:
    """The next step. `abandoned`: amphorae whose removal just failed; `age`: seconds since the change began."""
    load_balancer = tree.load_balancer
    if load_balancer.provisioning_status is Provisioning.PENDING_DELETE:
        return _dismantle(tree, abandoned)
    leaving = doomed(tree)
    staying = tuple(amphora for amphora in tree.amphorae if amphora not in leaving)
    # What is dead can go while its replacement is built; what still serves goes last.
    dead = tuple(each for each in leaving if each.status is not AmphoraStatus.ALLOCATED and each.id not in abandoned)
    step = _build(tree, staying, age)
    if isinstance(step, Act) and step.actions[0].kind is not Kind.CONFIRM:
        return replace(step, actions=step.actions + tuple(_remove(amphora) for amphora in dead))
    rest = tuple(each for each in leaving if each.id not in abandoned)
    if rest:
        # Before the confirmation: who waits for ACTIVE finds the replaced ones gone (contract 70, section 6).
        return Act(actions=tuple(map(_remove, rest)), reason=f"removing {len(rest)} replaced amphorae")
    if step is not None:
        return step
    if leaving:
        names = ", ".join(each.id for each in leaving)
        return Wait(after=_ABANDONED_RETRY, reason=f"the replaced amphora {names} does not answer", settled=True)
    return Settled(reason=f"generation {load_balancer.generation} is confirmed by every amphora")


def doomed(tree: LoadBalancerTree) -> tuple[Amphora, ...]:
    """Amphorae that are to go: the dead ones and, one at a time, those somebody wants replaced.

    Of these the one without the VIP goes first (contract 95, section 10.3), and none while another is being
    built: at least one amphora serves throughout.
    """
    wanted = ROLES[tree.load_balancer.topology]
    dead = [each for each in tree.amphorae if each.status in (AmphoraStatus.ERROR, AmphoraStatus.PENDING_DELETE)]
    surplus = [each for each in tree.amphorae if each not in dead and each.role not in wanted]
    alive = [each for each in tree.amphorae if each not in dead and each not in surplus]
    asked = sorted((each for each in alive if each.replace_requested), key=lambda each: (each.holds_vip, each.id))
    if not dead and asked:
        return (*surplus, asked[0])
    return (*dead, *surplus)


def lasting(tree: LoadBalancerTree) -> LoadBalancerTree:
    """The tree without amphorae that are to go: what specs are built from."""
    leaving = doomed(tree)
    return replace(tree, amphorae=tuple(amphora for amphora in tree.amphorae if amphora not in leaving))


def _build(tree: LoadBalancerTree, staying: tuple[Amphora, ...], age: float) -> Decision | None:
    """The next step towards every wanted amphora confirming the newest generation; None when they have."""
    load_balancer = tree.load_balancer
    present = [amphora.role for amphora in staying]
    missing = tuple(role for role in ROLES[load_balancer.topology] if role not in present)
    if missing:
        names = " and ".join(missing)
        return Act(actions=(Action(kind=Kind.ADD_AMPHORAE, roles=missing),), reason=f"an amphora as {names} is missing")
    unplaced = [amphora for amphora in staying if amphora.compute_id is None or amphora.vrrp_port_id is None]
    if unplaced:
        return Act(
            actions=tuple(Action(kind=Kind.PLACE, amphora_id=amphora.id) for amphora in unplaced),
            reason=f"{len(unplaced)} amphorae need a host and a port",
        )
    behind = [amphora for amphora in staying if amphora.applied_generation < load_balancer.generation]
    if behind:
        return Act(
            actions=tuple(Action(kind=Kind.APPLY, amphora_id=amphora.id) for amphora in behind),
            reason=f"{len(behind)} amphorae do not run generation {load_balancer.generation} yet",
        )
    if load_balancer.confirmed_generation >= load_balancer.generation and not _unsettled(tree):
        return None
    if not any(amphora.holds_vip for amphora in staying) and age < _ELECTION_LIMIT:
        return Act(
            actions=tuple(Action(kind=Kind.OBSERVE, amphora_id=amphora.id) for amphora in staying),
            reason="waiting for one amphora to be elected master",
        )
    return Act(actions=(Action(kind=Kind.CONFIRM),), reason=f"every amphora runs generation {load_balancer.generation}")


def election_pause(decision: Decision) -> float:
    """Seconds to wait before acting: looking at an election in a tight loop would only slow it."""
    looking = isinstance(decision, Act) and decision.actions[0].kind is Kind.OBSERVE
    return _ELECTION_POLL if looking else 0.0


def _unsettled(tree: LoadBalancerTree) -> bool:
    return tree.load_balancer.provisioning_status is not Provisioning.ACTIVE


def _dismantle(tree: LoadBalancerTree, abandoned: frozenset[str]) -> Decision:
    reachable = tuple(amphora for amphora in tree.amphorae if amphora.id not in abandoned)
    if reachable:
        return Act(actions=tuple(map(_remove, reachable)), reason=f"removing {len(reachable)} amphorae")
    if tree.amphorae:
        names = ", ".join(amphora.id for amphora in tree.amphorae)
        return Wait(after=2.0, reason=f"the amphora {names} is to be removed and its agent does not answer")
    return Act(actions=(Action(kind=Kind.REMOVE_LOAD_BALANCER),), reason="no amphora is left")


def _remove(amphora: Amphora) -> Action:
    return Action(kind=Kind.REMOVE_AMPHORA, amphora_id=amphora.id)
