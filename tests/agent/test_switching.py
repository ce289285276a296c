"""L7 policies as HAProxy reads them: order, every kind of rule, and values that would like to be something else."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livia.agent.acceptance import check
from livia.agent.errors import InvalidSpecError
from livia.agent.haproxy.render import render
from livia.agent.haproxy.switching import policies
from livia.core.model.l7 import Action, CompareType, RuleType
from livia.core.model.listener import ListenerProtocol
from livia.core.rules import l7
from livia.core.rules.verdict import ACCEPT
from livia.core.spec import PolicySpec, RuleSpec, Spec
from tests.agent.lab import listener, member, pool, single
from tests.agent.test_render import _LIMITS, MACHINE, _haproxy_takes, _passes, hostile


def rule(**changes: Any) -> RuleSpec:
    values: dict[str, Any] = {"type": RuleType.PATH, "compare_type": CompareType.STARTS_WITH, "value": "/a"}
    return RuleSpec(**(values | changes))


def policy(action: Action = Action.REJECT, *rules: RuleSpec, **changes: Any) -> PolicySpec:
    values: dict[str, Any] = {"id": "policy-1", "action": action, "rules": rules or (rule(),)}
    return PolicySpec(**(values | changes))


def switched(*wanted: PolicySpec, **changes: Any) -> Spec:
    """A listener with these policies, a default pool and another one, pool-2."""
    pools = (pool(member(1)), pool(member(2), id="pool-2"))
    return single(pools, (listener(policies=wanted, **changes),))


def test_actions_come_in_the_order_of_the_contract() -> None:
    wanted = (
        policy(Action.REDIRECT_TO_POOL, pool_id="pool-2"),
        policy(Action.REDIRECT_PREFIX, url="http://b.net/x", code=308),
        policy(Action.REDIRECT_TO_URL, rule(invert=True), rule(value="/b"), url="http://a.net/100%"),
        policy(),
        policy(Action.REDIRECT_TO_POOL, pool_id="pool-1"),
    )
    lines = policies(listener(policies=wanted))
    assert [each for each in lines if not each.startswith("acl ")] == [
        "http-request deny deny_status 403 if p0r0",
        "http-request redirect prefix http://b.net/x code 308 if p1r0",
        "http-request redirect location http://a.net/100%% code 302 if !p2r0 p2r1",
        "use_backend pool-2:listener-1 if p3r0",
        "use_backend pool-1:listener-1 if p4r0",
    ]
    spec = switched(*wanted)
    check(spec)
    text = render(spec, MACHINE)
    assert _haproxy_takes(text) == ""
    assert [each for each in text.splitlines() if each.startswith("backend")] == [
        "backend pool-1:listener-1",
        "backend pool-2:listener-1",
    ]


def test_headers_are_inserted_after_rules_have_looked() -> None:
    wanted = policy(Action.REDIRECT_TO_POOL, pool_id="pool-2")
    text = render(switched(wanted, insert_headers=("X-Forwarded-For",)), MACHINE)
    frontend, _, backend = text.partition("\nbackend ")
    assert "set-header" not in frontend
    assert backend.count("http-request set-header X-Forwarded-For %[src]") == 2


#: type, compare type, and what the ACL is
CONDITIONS: list[tuple[RuleSpec, str]] = [
    (rule(type="HOST_NAME", compare_type="EQUAL_TO", value="A.net"), "req.hdr(host) -i -m str -- A.net"),
    (rule(type="HOST_NAME", compare_type="REGEX", value="^a b$"), "req.hdr(host) -i -m reg -- '^a b$'"),
    (rule(compare_type="ENDS_WITH", value="-f"), "path -m end -- -f"),
    (rule(compare_type="CONTAINS", value="a'b"), 'path -m sub -- "a\'b"'),
    (rule(type="FILE_TYPE", compare_type="EQUAL_TO", value="jpg"), "path -m end -- jpg"),
    (rule(type="FILE_TYPE", compare_type="REGEX", value="p.g"), "path -m reg -- p.g"),
    (rule(type="HEADER", key="X-A", value="v"), "'req.hdr(\"X-A\")' -m beg -- v"),
    (rule(type="COOKIE", key="c", compare_type="EQUAL_TO", value="v"), "'req.cook(\"c\")' -m str -- v"),
    (rule(type="SSL_CONN_HAS_CERT", compare_type="EQUAL_TO", value="True"), "ssl_c_used"),
    (rule(type="SSL_VERIFY_RESULT", compare_type="EQUAL_TO", value="7"), "ssl_c_verify -m int -- 7"),
    (rule(type="SSL_DN_FIELD", key="CN", compare_type="EQUAL_TO", value="ü"), "'ssl_c_s_dn(\"CN\")' -m str -- 'ü'"),
]


def _typed(each: RuleSpec) -> RuleSpec:
    return RuleSpec(
        type=RuleType(each.type),
        compare_type=CompareType(each.compare_type),
        key=each.key,
        value=each.value,
        invert=each.invert,
    )


def test_every_type_of_rule_and_every_comparison() -> None:
    for wanted, condition in CONDITIONS:
        assert policies(listener(policies=(policy(Action.REJECT, _typed(wanted)),)))[0] == f"acl p0r0 {condition}"
    values = {RuleType.SSL_VERIFY_RESULT: "0", RuleType.SSL_CONN_HAS_CERT: "true"}
    everything = [
        rule(type=kind, compare_type=compare, key="k", value=values.get(kind, "v"))
        for kind, compares in l7.COMPARE_TYPES.items()
        for compare in sorted(compares)
    ]
    spec = switched(policy(Action.REJECT, *everything), policy(Action.REJECT, *(rule() for _ in range(50))))
    check(spec)
    assert _haproxy_takes(render(spec, MACHINE)) == ""


def test_the_longest_policy_fits_on_its_line() -> None:
    long = rule(type=RuleType.HEADER, compare_type=CompareType.REGEX, key="'" * 255, value="é'\"\\$" * 51, invert=True)
    url = "http://a/" + "%" * 246
    spec = switched(*(policy(Action.REDIRECT_TO_URL, *([long] * 50), url=url, id=f"p{n}") for n in range(3)))
    check(spec)
    assert _haproxy_takes(render(spec, MACHINE)) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        policy(Action.REDIRECT_TO_POOL, pool_id="pool-3"),
        policy(Action.REDIRECT_TO_POOL),
        policy(Action.REDIRECT_TO_URL, url="http://a\nb"),
        policy(Action.REDIRECT_TO_URL, url="/a"),
        policy(Action.REDIRECT_PREFIX),
        policy(Action.REDIRECT_PREFIX, url="http://a", code=200),
        policy(Action.REJECT, rule(value="")),
        policy(Action.REJECT, rule(value="a\nb")),
        policy(Action.REJECT, rule(type=RuleType.HEADER)),
        policy(Action.REJECT, rule(type=RuleType.COOKIE, key='a"')),
        policy(Action.REJECT, rule(type=RuleType.SSL_DN_FIELD, key="(")),
        policy(Action.REJECT, rule(type=RuleType.SSL_VERIFY_RESULT, value="x")),
        policy(Action.REJECT, *(rule() for _ in range(51))),
        policy(id="../x"),
        PolicySpec(id="policy-1", action=Action.REJECT, rules=()),
    ],
)
def test_impossible_policies_are_refused(wrong: PolicySpec) -> None:
    with pytest.raises(InvalidSpecError):
        check(switched(wrong))


def test_policies_are_for_http() -> None:
    with pytest.raises(InvalidSpecError):
        check(switched(policy(), protocol=ListenerProtocol.TCP))


def _heads(text: str) -> list[list[str]]:
    """Of each line its first words, up to the first that a tenant wrote."""
    return [each.split()[:2] for each in text.splitlines() if each]


@_LIMITS
@given(
    kind=st.sampled_from(list(RuleType)),
    compare=st.sampled_from([each for each in CompareType if each is not CompareType.REGEX]),
    key=st.just("k") | hostile,
    value=hostile | hostile.map(lambda text: f'"{text}"'),
    url=hostile.map(lambda text: f"http://a.net/{text}"),
)
@example(RuleType.PATH, CompareType.EQUAL_TO, "k", "-f", "http://a.net/%[env(HOME)]")
@example(RuleType.HEADER, CompareType.EQUAL_TO, "k'),lower,env('HOME", "--", "http://a.net/$HOME")
def test_hostile_policies_are_refused_or_taken_as_they_are(
    kind: RuleType, compare: CompareType, key: str, value: str, url: str
) -> None:
    """What the API accepts the agent accepts, and no value becomes a directive or a word of its own."""
    wanted: dict[str, Any] = {"type": kind, "compare_type": compare, "key": key, "value": value}
    acceptable = l7.rule_acceptable({**wanted, "key": None if kind in l7.KEYLESS else key}) == ACCEPT
    spec = switched(policy(Action.REDIRECT_TO_URL, RuleSpec(**wanted), url=url))
    passes = _passes(spec)
    if acceptable:
        assert passes or not _passes(switched(policy(Action.REDIRECT_TO_URL, url=url)))
    if not passes:
        return
    text = render(spec, MACHINE)
    plain = render(switched(policy(Action.REDIRECT_TO_URL, url="http://a.net/")), MACHINE)
    assert _heads(text) == _heads(plain)
    assert _haproxy_takes(text) == ""


#: constructs of Python's expressions, valid by themselves
_PIECES = st.sampled_from(
    (
        *("a", ".", "é", " ", "'", '"', "$", "#", "%", "{", "}", "]", "^"),
        *(r"\.", r"\d", r"\W", r"\b", r"\x41", r"\101", r"\Z", "[a-z]", "[^]]", "[]-]", "(?:ab)", "(c)", "(i|j)"),
        *("(?=d)", "(?!e)", "(?<=f)", "(?i:g)", "(?P<n>h)", "(?#k)"),
    )
)
_REPEATED = st.tuples(_PIECES, st.sampled_from(["", "", "*", "+?", "?", "{2}", "{0,99}", "*+", "{9999}"])).map("".join)


@_LIMITS
@given(value=st.lists(_REPEATED, min_size=1, max_size=8).map("".join))
@example("[[:alpha:]]x{5}")
@example("(?P<name_of_32_characters_exactly_>x)(?P=name_of_32_characters_exactly_)(?(1)y|z)")
@example("(?imsx: a )[]a\\]\\\\-]\\101\\\\u")
@example("'\"$HOME ${HOME} %[env(HOME)] #")
@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_expressions_that_the_api_accepts_haproxy_reads(value: str) -> None:
    wanted: dict[str, Any] = {"type": RuleType.PATH, "compare_type": CompareType.REGEX, "key": None, "value": value}
    if l7.rule_acceptable(wanted) == ACCEPT:
        assert _haproxy_takes(render(switched(policy(Action.REJECT, RuleSpec(**wanted))), MACHINE)) == ""
