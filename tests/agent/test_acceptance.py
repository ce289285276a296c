"""What was accepted before is not looked at again, and all else is."""

import pytest
from msgspec.structs import replace

from livia.agent.acceptance import check
from livia.agent.errors import InvalidSpecError
from livia.core.spec import MemberSpec, Spec
from tests.agent.lab import member, pool, single


def _with(*members: MemberSpec) -> Spec:
    return single((pool(*members),))


def test_a_member_that_changed_is_looked_at_beside_ones_that_passed() -> None:
    accepted = _with(member(1), member(2))
    check(accepted)
    check(_with(member(1), replace(member(2), weight=7)), accepted)
    with pytest.raises(InvalidSpecError, match="weight of a member"):
        check(_with(member(1), replace(member(2), weight=257)), accepted)
    with pytest.raises(InvalidSpecError, match="member address"):
        check(_with(member(1), replace(member(3), address="10.0.0.1\n  bind :1")), accepted)


def test_what_passed_in_another_pool_has_not_passed_here() -> None:
    broken = replace(member(2), port=0)
    accepted = single((replace(pool(broken), id="another"),))
    with pytest.raises(InvalidSpecError, match="member port"):
        check(_with(broken), accepted)


def test_a_member_is_in_a_spec_once() -> None:
    accepted = _with(member(1))
    with pytest.raises(InvalidSpecError, match="twice"):
        check(_with(member(1), member(1)), accepted)
