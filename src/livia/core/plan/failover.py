"""Which silent amphorae to replace now: the guard against mass failovers (design, section 9)."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

#: seconds over which failovers are counted
WINDOW = 60.0
#: of the fleet, at most this share is failed over within the window
SHARE = 0.1
#: and always this many: a small installation is whole again at once, and ten amphorae are built in a second
LEAST = 10


class Answer(StrEnum):
    """What the second path says of an amphora that sends no heartbeats."""

    #: its agent says that it forwards
    FORWARDS = "forwards"
    #: its agent, or the lack of a host, says that it does not
    DEAD = "dead"
    #: nobody answers: it is lost, or our way to it is
    UNREACHABLE = "unreachable"


class Probe(Struct, frozen=True, kw_only=True):
    """One question over the second path. `asked` and `ended`: when, in monotonic seconds; `worked`: when our network
    had last worked then; `reason`: a part of a sentence."""

    answer: Answer
    worked: float
    asked: float
    ended: float
    reason: str


class Suspect(Struct, frozen=True, kw_only=True):
    """A silent amphora. `silence` in seconds; `alone`: no other amphora of its load balancer reports; `probe`: what
    the second path says, None while that is not known. `standby`: the other one of its pair, if that was heard since
    the silence began and does not hold the VIP; `waiting`: seconds that a change of its load balancer waits, 0: none;
    `connected`: whether our network worked right before it was asked, and right after.
    """

    id: str
    silence: float
    alone: bool
    probe: Probe | None
    standby: str | None = None
    waiting: float = 0.0
    connected: bool = True


class Situation(Struct, frozen=True, kw_only=True):
    """What a manager knows beyond the suspects.

    `fleet`: amphorae that should report; `recent`: failovers by anybody within the window; `listening`: seconds that
    we have listened without a break; `evidence`: when our network last worked, as somebody's heartbeat or an answered
    question shows, in monotonic seconds; `timeout`: seconds; `threshold`: `failover_threshold` of contract 90.
    """

    fleet: int
    recent: int
    listening: float
    evidence: float
    timeout: float
    threshold: int | None = None


class Guard(StrEnum):
    """Whether failovers go on, and what holds them."""

    OK = "ok"
    LISTENING = "listening"
    THRESHOLD = "threshold"
    NETWORK = "network"
    SHARE = "share"
    FORWARDING = "forwarding"


class Spared(Struct, frozen=True, kw_only=True):
    """A silent amphora that forwards all the same; `reason`: a sentence."""

    id: str
    reason: str


class Verdict(Struct, frozen=True, kw_only=True):
    """`replace` now; `held` may be dead and are left alone because of `reason`; `stop`: beyond the threshold; `spared`
    forward, as the other one of their pair shows."""

    guard: Guard
    reason: str
    replace: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    spared: tuple[Spared, ...] = ()


def judge(silent: tuple[Suspect, ...], situation: Situation) -> Verdict:
    """Who slept, or lost its database, has heard nobody: it declares nobody dead before a full timeout.

    Past that the second path decides. An agent that answers is believed. Of one that does not answer we cannot tell
    its death from that of our own network: it is believed dead if our network worked right before it was asked and
    right after, as somebody who was heard then shows, or who answered; unless the other one of its pair shows that it
    forwards. Before only, and the network may just have gone; after only, and it may just have come back.
    Load balancers without any amphora that reports go first, then who has been silent longest.
    """
    if not silent:
        return Verdict(guard=Guard.OK, reason="every amphora reports")
    ids = tuple(each.id for each in silent)
    if situation.listening < situation.timeout:
        reason = f"listening for {situation.listening:.1f} s only, less than the timeout of {situation.timeout:g} s"
        return Verdict(guard=Guard.LISTENING, reason=reason, held=ids)
    if situation.threshold is not None and len(silent) >= situation.threshold:
        reason = f"{len(silent)} of {situation.fleet} amphorae are silent: failover_threshold is {situation.threshold}"
        return Verdict(guard=Guard.THRESHOLD, reason=reason, stop=ids)
    suspected = [each for each in silent if each.probe is not None and each.probe.answer is not Answer.FORWARDS]
    spared = tuple(_spared(each, situation.timeout) for each in suspected if _forwards(each, situation.timeout))
    dead = [each for each in suspected if not _forwards(each, situation.timeout)]
    return replace(_of_dead(dead, len(silent), situation, len(spared)), spared=spared)


def _of_dead(dead: list[Suspect], silent: int, situation: Situation, spared: int) -> Verdict:
    """What becomes of those that nobody says to forward."""
    if not dead:
        left = f"none is dead, and {spared} forward as their peers show" if spared else "none is dead"
        reason = f"{silent} of {situation.fleet} amphorae are silent, {left}"
        return Verdict(guard=Guard.FORWARDING if spared else Guard.OK, reason=reason)
    believed = [each for each in dead if _believed(each, situation.evidence)]
    if not believed:
        reason = (
            f"{len(dead)} of {situation.fleet} amphorae are silent and do not answer, and nobody else was heard since "
            "they were asked: this manager's own network may be cut"
        )
        return Verdict(guard=Guard.NETWORK, reason=reason, held=tuple(each.id for each in dead))
    return _share(believed, silent, situation)


def _forwards(suspect: Suspect, timeout: float) -> bool:
    """The third path: who stands by and leaves the VIP alone hears adverts of the one that has it.

    A change that has waited for a whole timeout, too, ends that: it cannot arrive but by a replacement.
    """
    asked = suspect.probe is not None and suspect.probe.answer is Answer.UNREACHABLE
    return asked and suspect.standby is not None and suspect.waiting <= timeout


def _spared(suspect: Suspect, timeout: float) -> Spared:
    reason = (
        f"Amphora {suspect.id} sent no heartbeat for {timeout:g} s and its agent does not answer, but amphora "
        f"{suspect.standby}, heard since, leaves the VIP to it: it forwards, and is replaced only when that ends or a "
        "change has to reach it. See why its agent does not answer, or fail the amphora over."
    )
    return Spared(id=suspect.id, reason=reason)


def _believed(suspect: Suspect, evidence: float) -> bool:
    probe = suspect.probe
    return probe is not None and (probe.answer is Answer.DEAD or (suspect.connected and evidence > probe.ended))


def _share(dead: list[Suspect], silent: int, situation: Situation) -> Verdict:
    allowed = max(0, max(LEAST, int(situation.fleet * SHARE)) - situation.recent)
    ordered = tuple(each.id for each in sorted(dead, key=lambda each: (not each.alone, -each.silence, each.id)))
    reason = (
        f"{silent} of {situation.fleet} amphorae are silent, {len(dead)} of them dead; {situation.recent} were "
        f"replaced in the last {WINDOW:.0f} s, {allowed} more may be"
    )
    held = ordered[allowed:]
    return Verdict(guard=Guard.SHARE if held else Guard.OK, reason=reason, replace=ordered[:allowed], held=held)
