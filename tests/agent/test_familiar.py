"""What the agent keeps of one change for the next saves work, and decides nothing: not what the file says, not what
HAProxy is told, not what is accepted."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from livia.agent.acceptance import check
from livia.agent.errors import InvalidSpecError
from livia.agent.familiar import apart, familiar
from livia.agent.haproxy.change import plan
from livia.agent.haproxy.render import Machine, render
from livia.agent.haproxy.server import first_id
from livia.agent.haproxy.servers import AtRuntime, Surroundings
from livia.agent.haproxy.written import Written
from livia.core.spec import MemberSpec, Spec
from tests.agent.changes import AT_RUNTIME, BY_RELOAD, beginning
from tests.agent.lab import member, pool, single

MACHINE = Machine(connections=1000)
#: two names of one checksum: HAProxy's id of the second server depends on whether the first is there
ALIKE = ("plumless", "buckeroo")
_STEPS = st.lists(
    st.tuples(st.sampled_from([*AT_RUNTIME, *BY_RELOAD]), st.integers(0, 5), st.integers(0, 255)), max_size=12
)


def sent(spec: Spec) -> Spec:
    """As it comes to the agent: no object of it is one that was there before."""
    return msgspec.json.decode(msgspec.json.encode(spec), type=Spec)


@given(_STEPS)
def test_the_same_file_and_the_same_steps_follow_as_without_memory(steps: list[tuple[str, int, int]]) -> None:
    changes = AT_RUNTIME | BY_RELOAD
    written, running = Written(), sent(beginning())
    for name, who, value in steps:
        wanted = changes[name](running, who, value)
        known = familiar(sent(wanted), running)
        assert known == wanted
        assert render(known, MACHINE, written) == render(sent(wanted), MACHINE)
        assert plan(running, known, Surroundings()) == plan(sent(running), sent(wanted), Surroundings())
        running = known


def named(*names: str) -> Spec:
    """A pool with members of these names."""
    return single((pool(*(member(1, id=name, port=80 + place) for place, name in enumerate(names))),))


@example([[ALIKE[0]], list(ALIKE)])
@example([list(ALIKE), [ALIKE[0]]])
@given(st.lists(st.lists(st.sampled_from(["a", *ALIKE, "z"]), unique=True), min_size=2, max_size=6))
def test_lines_are_worded_anew_where_a_servers_id_is_another(pools: list[list[str]]) -> None:
    assert first_id(ALIKE[0]) == first_id(ALIKE[1])
    written, running = Written(), named()
    for names in pools:
        running = familiar(sent(named(*names)), running)
        assert render(running, MACHINE, written) == render(sent(running), MACHINE)


def test_of_a_thousand_members_one_is_new_and_the_others_are_what_they_were() -> None:
    running = single((pool(*(member(1, id=f"m{number:04}", port=1000 + number) for number in range(1000))),))
    (web,) = running.pools
    changed = replace(web.members[500], weight=7)
    wanted = replace(running, pools=(replace(web, members=(*web.members[:500], changed, *web.members[501:])),))
    known = familiar(sent(wanted), running)
    there, here = apart(web.members, known.pools[0].members)
    assert (web.members[there], known.pools[0].members[here]) == ((web.members[500],), (changed,))
    step = plan(running, known, Surroundings())
    assert isinstance(step, AtRuntime)
    assert [command.text for command in step.commands] == ["set server pool-1:listener-1/m0500 weight 7"]


@pytest.mark.parametrize(
    "members",
    [
        (member(1), member(2, weight=257)),
        (member(1), member(1)),
        (member(1), member(2), member(1)),
        (member(2), member(1), replace(member(2), weight=3)),
    ],
)
def test_what_is_wrong_beside_members_that_were_accepted_is_refused(members: tuple[MemberSpec, ...]) -> None:
    accepted = single((pool(member(1), member(2)),))
    wanted = familiar(sent(single((pool(*members),))), accepted)
    for known in (None, accepted):
        with pytest.raises(InvalidSpecError):
            check(wanted, known)


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_sequences_are_apart_where_neither_beginning_nor_end_is_common(old: list[str], new: list[str]) -> None:
    there, here = apart(old, new)
    assert old[: there.start] == new[: here.start]
    assert old[there.stop :] == new[here.stop :]
    rest, fresh = old[there], new[here]
    assert not rest or not fresh or (rest[0] != fresh[0] and rest[-1] != fresh[-1])
