"""The guard against mass failovers, by value."""

import pytest
from msgspec.structs import replace

from livia.core.plan.failover import Answer, Guard, Probe, Situation, Suspect, judge

_LOST = Probe(answer=Answer.UNREACHABLE, worked=89.0, asked=90.0, ended=100.0, reason="its agent does not answer")
_DEAD = Probe(answer=Answer.DEAD, worked=89.0, asked=90.0, ended=100.0, reason="its agent does not know it")
_FORWARDS = Probe(
    answer=Answer.FORWARDS, worked=89.0, asked=90.0, ended=100.0, reason="its agent says that it forwards"
)


def suspects(count: int, probe: Probe | None, *, alone: bool = False) -> tuple[Suspect, ...]:
    return tuple(Suspect(id=f"a{n:04}", silence=61.0, alone=alone, probe=probe) for n in range(count))


def situation(
    *, fleet: int = 2000, recent: int = 0, listening: float = 1e6, evidence: float = 101.0, threshold: int | None = None
) -> Situation:
    return Situation(
        fleet=fleet, recent=recent, listening=listening, evidence=evidence, timeout=60.0, threshold=threshold
    )


def test_nobody_is_dead_before_a_full_timeout_of_listening() -> None:
    verdict = judge(suspects(3, _DEAD), situation(listening=59.9))
    assert (verdict.guard, verdict.replace, len(verdict.held)) == (Guard.LISTENING, (), 3)
    assert "59.9 s" in verdict.reason


def test_who_forwards_or_was_not_asked_yet_is_left_alone() -> None:
    verdict = judge(suspects(2, _FORWARDS) + suspects(2, None), situation())
    assert (verdict.guard, verdict.replace, verdict.held) == (Guard.OK, (), ())


def test_of_a_large_fleet_a_tenth_may_be_replaced_in_a_minute() -> None:
    verdict = judge(suspects(1000, _LOST), situation(recent=150))
    assert (verdict.guard, len(verdict.replace), len(verdict.held)) == (Guard.SHARE, 50, 950)
    assert "150 were replaced" in verdict.reason


def test_a_lost_host_of_a_small_fleet_is_replaced_at_once() -> None:
    verdict = judge(suspects(10, _LOST), situation(fleet=20))
    assert (verdict.guard, len(verdict.replace)) == (Guard.OK, 10)


def test_nobody_is_replaced_while_nobody_answers_and_nobody_is_heard() -> None:
    verdict = judge(suspects(4, _LOST), situation(fleet=4, evidence=99.0))
    assert (verdict.guard, verdict.replace, len(verdict.held)) == (Guard.NETWORK, (), 4)
    assert "network may be cut" in verdict.reason


def test_an_agent_that_answers_is_believed_whatever_else_is_silent() -> None:
    verdict = judge((*suspects(1, _DEAD), *suspects(4, _LOST)[1:]), situation(fleet=4, evidence=99.0))
    assert (verdict.guard, verdict.replace) == (Guard.OK, ("a0000",))


def test_load_balancers_that_nobody_serves_go_first_then_who_is_silent_longest() -> None:
    served = tuple(Suspect(id=f"served{n}", silence=100.0 + n, alone=False, probe=_LOST) for n in range(10))
    alone = Suspect(id="alone", silence=61.0, alone=True, probe=_LOST)
    verdict = judge((*served, alone), situation(fleet=30))
    assert verdict.replace == ("alone", *(f"served{n}" for n in range(9, 0, -1)))
    assert verdict.held == ("served0",)


def test_the_threshold_stops_all_failovers() -> None:
    verdict = judge(suspects(5, _DEAD), situation(threshold=5))
    assert (verdict.guard, verdict.replace, len(verdict.stop)) == (Guard.THRESHOLD, (), 5)
    assert judge(suspects(4, _DEAD), situation(threshold=5)).guard is Guard.OK


def pair(**more: object) -> Suspect:
    """A lost agent's amphora, whose peer waits without the VIP, unless `more` says otherwise."""
    return replace(Suspect(id="a", silence=61.0, alone=False, probe=_LOST, standby="b"), **more)


def test_one_whose_peer_leaves_the_vip_to_it_forwards() -> None:
    verdict = judge((pair(),), situation())
    assert (verdict.guard, verdict.replace, verdict.held) == (Guard.FORWARDING, (), ())
    (spared,) = verdict.spared
    assert spared.id == "a"
    assert "amphora b, heard since, leaves the VIP to it" in spared.reason
    # A change that came a moment ago gives its agent a timeout's time to come back.
    assert judge((pair(waiting=60.0),), situation()).replace == ()


@pytest.mark.parametrize("more", [{"standby": None}, {"waiting": 60.1}, {"probe": _DEAD}], ids=str)
def test_one_is_replaced_that_nobody_leaves_the_vip_to_or_that_a_change_waits_for(more: dict[str, object]) -> None:
    verdict = judge((pair(**more),), situation())
    assert (verdict.guard, verdict.replace, verdict.spared) == (Guard.OK, ("a",), ())


def test_others_are_replaced_beside_one_that_forwards() -> None:
    verdict = judge((pair(), *suspects(11, _LOST)), situation(fleet=20))
    assert (verdict.guard, len(verdict.replace), len(verdict.held)) == (Guard.SHARE, 10, 1)
    assert [each.id for each in verdict.spared] == ["a"]


def test_who_did_not_answer_while_the_network_was_away_is_asked_again_when_it_is_back() -> None:
    lost = Probe(answer=Answer.UNREACHABLE, worked=89.0, asked=90.0, ended=91.0, reason="its agent does not answer")
    suspect = Suspect(id="a", silence=20.0, alone=True, probe=lost, connected=False)
    verdict = judge((suspect,), Situation(fleet=100, recent=0, listening=100.0, evidence=92.0, timeout=10.0))
    assert (verdict.guard, verdict.replace, verdict.held) == (Guard.NETWORK, (), ("a",))
