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
#: what an operator does about a host that does not come back
_FORGET = "if its host is lost for good, 'livia host remove' forgets both"
#: seconds before another try to build what cannot be built now; the worker's own pauses grow with the tries
_HINDERED_RETRY = 2.0
#: seconds between two looks at what a new amphora has learned; HAProxy begins to ask others after five
_LEARNING_POLL = 0.5


class Kind(StrEnum):
    """What an action does; each is one method of the worker's runner."""

    ADD_AMPHORAE = "add_amphorae"
    PLACE = "place"
    APPLY = "apply"
    OBSERVE = "observe"
    REMOVE_AMPHORA = "remove_amphora"
    CONFIRM_PARTS = "confirm_parts"
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


class Known(Struct, frozen=True, kw_only=True):
    """What one reconcile has found out and rows do not say.

    `abandoned`: amphorae whose removal failed; `silent`: those that are to go and cannot be told anything;
    `hindered`: those that cannot be built now; `full`: no host has room for another. `learned` and `learning`: those
    that know, or do not know yet, the clients of the ones they replace. `age`: seconds since the reconcile began.
    """

    abandoned: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    hindered: frozenset[str] = frozenset()
    full: bool = False
    learned: frozenset[str] = frozenset()
    learning: frozenset[str] = frozenset()
    age: float = 0.0


_NOTHING = Known()


def decide(tree: LoadBalancerTree, known: Known = _NOTHING) -> Decision:
    """The next step."""
    load_balancer = tree.load_balancer
    if load_balancer.provisioning_status is Provisioning.PENDING_DELETE:
        return _dismantle(tree, known.abandoned)
    leaving = _leaving(tree, known)
    # What is dead can go while its replacement is built; what still serves goes last.
    dead = tuple(_remove(each) for each in leaving if not serves(each) and each.id not in known.abandoned)
    step = _build(tree, leaving, known)
    if isinstance(step, Act) and step.actions[0].kind is not Kind.CONFIRM:
        return replace(step, actions=step.actions + dead)
    if isinstance(step, Wait):
        return Act(actions=dead, reason=f"removing {len(dead)} dead amphorae") if dead else step
    rest = tuple(each for each in leaving if each.id not in known.abandoned)
    if rest:
        # Before the confirmation: who waits for ACTIVE finds the replaced ones gone (contract 70, section 6).
        return _teach(tree, leaving, known) or Act(
            actions=tuple(map(_remove, rest)), reason=f"removing {len(rest)} replaced amphorae"
        )
    if step is not None:
        return step
    return _rest(tree, leaving)


def _rest(tree: LoadBalancerTree, leaving: tuple[Amphora, ...]) -> Decision:
    """What there is to wait for once all is confirmed."""
    if leaving:
        names = ", ".join(each.id for each in leaving)
        return Wait(
            after=_ABANDONED_RETRY, reason=f"the replaced amphora {names} does not answer; {_FORGET}", settled=True
        )
    asked = [each for each in tree.amphorae if each.host_draining]
    if asked:
        names = " and ".join(sorted({str(each.compute_id) for each in asked}))
        return Wait(after=_ABANDONED_RETRY, reason=f"host {names} is drained as soon as another has room", settled=True)
    return Settled(reason=f"generation {tree.load_balancer.generation} is confirmed by every amphora")


def serves(amphora: Amphora) -> bool:
    """Whether it has confirmed a generation, and nobody found it dead since: one that is silent may serve."""
    return amphora.status in (AmphoraStatus.ALLOCATED, AmphoraStatus.FAILOVER_STOPPED)


def _dead(amphora: Amphora) -> bool:
    return amphora.status in (AmphoraStatus.ERROR, AmphoraStatus.PENDING_DELETE)


def _asked(amphora: Amphora) -> bool:
    """Whether somebody wants it replaced: itself, or all that is on its host."""
    return amphora.replace_requested or amphora.host_draining


def doomed(tree: LoadBalancerTree) -> tuple[Amphora, ...]:
    """Amphorae that are to go: the dead ones, those that are too many and, one at a time, those somebody wants
    replaced.

    Of these the one without the VIP goes first (contract 95, section 10.3), and none while the load balancer is not
    whole: at least one amphora serves throughout.
    """
    wanted = ROLES[tree.load_balancer.topology]
    dead = [each for each in tree.amphorae if _dead(each)]
    surplus: list[Amphora] = [each for each in tree.amphorae if each not in dead and each.role not in wanted]
    asked: list[Amphora] = []
    replaced: set[Role] = set()
    for role in wanted:
        alive = [each for each in tree.amphorae if each.role is role and each not in dead]
        staying = sorted(
            (each for each in alive if not _asked(each)),
            key=lambda each: (not serves(each), not each.holds_vip, each.id),
        )
        # More than one: a replacement was called off.
        surplus += [*staying[1:], *(each for each in alive if _asked(each) and not serves(each))]
        asked += [each for each in alive if _asked(each) and serves(each)]
        if staying:
            replaced.add(role)
    whole = all(any(each.role is role and serves(each) for each in tree.amphorae) for role in wanted)
    first = sorted(asked, key=lambda each: (each.role not in replaced, each.holds_vip, each.id))[: 1 if whole else 0]
    return (*dead, *surplus, *first)


class Cause(StrEnum):
    """Why an amphora is replaced."""

    REQUESTED = "requested"
    DRAINED = "drained"
    DEAD = "dead"
    MISSING = "missing"


def cause(tree: LoadBalancerTree, role: Role) -> tuple[Cause, str]:
    """Why the amphora of a role is replaced, and so as a part of a sentence."""
    ours = [each for each in tree.amphorae if each.role is role]
    if any(each.replace_requested and not _dead(each) for each in ours):
        return Cause.REQUESTED, "a failover was asked for"
    drained = [each.compute_id for each in ours if each.host_draining and not _dead(each)]
    if drained:
        return Cause.DRAINED, f"host {drained[0]} is being drained"
    return (Cause.DEAD, "the one before is dead") if ours else (Cause.MISSING, "there is none")


def lasting(tree: LoadBalancerTree) -> LoadBalancerTree:
    """The tree without amphorae that are to go."""
    leaving = doomed(tree)
    return replace(tree, amphorae=tuple(amphora for amphora in tree.amphorae if amphora not in leaving))


def living(tree: LoadBalancerTree) -> LoadBalancerTree:
    """The tree without dead amphorae: what specs are built from. One that is replaced stays in its peers' specs
    until it is gone: without their adverts it would take the VIP."""
    return replace(tree, amphorae=tuple(amphora for amphora in tree.amphorae if not _dead(amphora)))


def _leaving(tree: LoadBalancerTree, known: Known) -> tuple[Amphora, ...]:
    """The doomed; where nothing can take its place, none that serves."""
    leaving = doomed(tree)
    if not known.full:
        return leaving
    present = {each.role for each in tree.amphorae if each not in leaving}
    return tuple(each for each in leaving if not serves(each) or each.role in present)


def _build(tree: LoadBalancerTree, leaving: tuple[Amphora, ...], known: Known) -> Decision | None:
    """The next step towards every wanted amphora confirming the newest generation; None when they have."""
    load_balancer = tree.load_balancer
    staying = tuple(amphora for amphora in tree.amphorae if amphora not in leaving)
    present = [amphora.role for amphora in staying]
    missing = tuple(role for role in ROLES[load_balancer.topology] if role not in present)
    if missing and not known.full:
        names = " and ".join(missing)
        return Act(actions=(Action(kind=Kind.ADD_AMPHORAE, roles=missing),), reason=f"an amphora as {names} is missing")
    buildable = [each for each in staying if each.id not in known.hindered]
    unplaced = [amphora for amphora in buildable if amphora.compute_id is None or amphora.vrrp_port_id is None]
    if unplaced:
        return Act(
            actions=tuple(Action(kind=Kind.PLACE, amphora_id=amphora.id) for amphora in unplaced),
            reason=f"{len(unplaced)} amphorae need a host and a port",
        )
    behind = _behind(tree, staying, known)
    if behind:
        return Act(
            actions=tuple(Action(kind=Kind.APPLY, amphora_id=amphora.id) for amphora in behind),
            reason=f"{len(behind)} amphorae do not run generation {load_balancer.generation} yet",
        )
    if missing or known.hindered or (known.full and any(each.replace_requested for each in staying)):
        return _confirm_parts(tree, known) or Wait(after=_HINDERED_RETRY, reason="an amphora cannot be built now")
    if load_balancer.confirmed_generation >= load_balancer.generation and not _unsettled(tree):
        return None
    holding = any(each.holds_vip for each in tree.amphorae if not _dead(each))
    if not holding and known.age < _ELECTION_LIMIT:
        return Act(
            actions=tuple(Action(kind=Kind.OBSERVE, amphora_id=amphora.id) for amphora in staying),
            reason="waiting for one amphora to be elected master",
        )
    return Act(actions=(Action(kind=Kind.CONFIRM),), reason=f"every amphora runs generation {load_balancer.generation}")


def _confirm_parts(tree: LoadBalancerTree, known: Known) -> Act | None:
    """What tenants changed is done where every amphora that serves runs it; the load balancer waits on for the one
    that is missing. None: there is nothing to confirm, or nobody who runs it."""
    newest = tree.load_balancer.generation
    serving = [each for each in tree.amphorae if serves(each) and each.id not in known.silent]
    if tree.load_balancer.confirmed_generation >= newest or not serving:
        return None
    if any(each.applied_generation < newest for each in serving):
        return None
    return Act(actions=(Action(kind=Kind.CONFIRM_PARTS),), reason=f"every amphora that serves runs generation {newest}")


def _behind(tree: LoadBalancerTree, staying: tuple[Amphora, ...], known: Known) -> list[Amphora]:
    """Those to be told of the newest generation now.

    Those that serve come first: a newcomer that they do not know hears no adverts, and takes the VIP. One that is to
    go serves until it is gone, and longer when its replacement cannot be built.
    """
    newest = tree.load_balancer.generation
    if all(each.applied_generation >= newest for each in staying):
        return []
    serving = [each for each in tree.amphorae if serves(each) and each.id not in known.silent]
    newcomers = [each for each in staying if not serves(each) and each.id not in known.hindered]
    groups = ([each for each in group if each.applied_generation < newest] for group in (serving, newcomers))
    return next((group for group in groups if group), [])


def _teach(tree: LoadBalancerTree, leaving: tuple[Amphora, ...], known: Known) -> Decision | None:
    """Have newcomers learn which client belongs to which member before the last that knows goes; None: they have."""
    remembering = any(pool.session_persistence is not None for pool in tree.pools)
    alone = tree.load_balancer.topology is Topology.SINGLE
    if alone or not remembering or not any(map(serves, leaving)):
        return None
    pupils = [each for each in tree.amphorae if each not in leaving and each.id not in known.learned]
    if not pupils:
        return None
    if any(each.id in known.learning for each in pupils):
        return Wait(after=_LEARNING_POLL, reason="a new amphora learns its clients from the one that it replaces")
    return Act(
        actions=tuple(Action(kind=Kind.OBSERVE, amphora_id=each.id) for each in pupils),
        reason="asking whether the new amphora knows its clients",
    )


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
        return Wait(after=2.0, reason=f"the amphora {names} is to be removed and its agent does not answer; {_FORGET}")
    return Act(actions=(Action(kind=Kind.REMOVE_LOAD_BALANCER),), reason="no amphora is left")


def _remove(amphora: Amphora) -> Action:
    return Action(kind=Kind.REMOVE_AMPHORA, amphora_id=amphora.id)
