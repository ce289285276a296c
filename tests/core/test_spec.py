"""The spec, by value: which L7 policies reach the data plane, and as what (contract 50, section 3)."""

from typing import Any

from msgspec.structs import replace

from livia.core.model.amphora import Role
from livia.core.model.l7 import Action, CompareType, L7Policy, L7Rule, RuleType
from livia.core.model.listener import Listener, ListenerProtocol
from livia.core.model.pool import Algorithm, Pool, PoolProtocol
from livia.core.model.status import Operating, Provisioning
from livia.core.spec import ListenerSpec, PolicySpec, RuleSpec, Spec, build
from tests.core.test_plan import amphora, tree

COMMON: dict[str, Any] = {
    "project_id": "p",
    "provisioning_status": Provisioning.ACTIVE,
    "operating_status": Operating.ONLINE,
}


def rule(value: str = "/a", **changes: Any) -> L7Rule:
    values = {"type": RuleType.PATH, "compare_type": CompareType.EQUAL_TO, "value": value}
    return L7Rule(id="r", l7policy_id="x", **(COMMON | values | changes))


def policy(action: Action = Action.REJECT, *rules: L7Rule, **changes: Any) -> L7Policy:
    values = {"id": "x", "position": 1, "rules": rules or (rule(),)}
    return L7Policy(listener_id="l", action=action, **(COMMON | values | changes))


def pool(name: str, **changes: Any) -> Pool:
    values = {"protocol": PoolProtocol.HTTP, "lb_algorithm": Algorithm.ROUND_ROBIN}
    return Pool(id=name, load_balancer_id="lb", **(COMMON | values | changes))


def spec(*policies: L7Policy, pools: tuple[Pool, ...] = ()) -> Spec:
    http = Listener(
        id="l",
        load_balancer_id="lb",
        protocol=ListenerProtocol.HTTP,
        protocol_port=80,
        l7policies=policies,
        **COMMON,
    )
    single = amphora("a", Role.STANDALONE)
    return build(replace(tree(single), listeners=(http,), pools=pools), single, (), 0.1)


def listener(*policies: L7Policy, pools: tuple[Pool, ...] = ()) -> ListenerSpec:
    return spec(*policies, pools=pools).listeners[0]


def test_policies_that_are_passed_over() -> None:
    to_pool = policy(Action.REDIRECT_TO_POOL, redirect_pool_id="blue")
    disabled: dict[str, Any] = {"admin_state_up": False}
    leaving: dict[str, Any] = {"provisioning_status": Provisioning.PENDING_DELETE}
    for wanted, pools in (
        (policy(**disabled), ()),
        (policy(**leaving), ()),
        (replace(policy(), rules=()), ()),
        (policy(Action.REJECT, rule(**disabled), rule(**leaving)), ()),
        (to_pool, ()),
        (to_pool, (pool("blue", **disabled),)),
        (to_pool, (pool("blue", **leaving),)),
    ):
        assert listener(wanted, pools=pools).policies == (), wanted
    found = listener(policy(Action.REJECT, rule("/off", **disabled), rule("/on"), rule("/gone", **leaving)))
    assert [each.value for each in found.policies[0].rules] == ["/on"]


def test_what_policies_become() -> None:
    found = listener(
        policy(Action.REDIRECT_TO_URL, redirect_url="http://a.net/", redirect_http_code=308),
        policy(Action.REDIRECT_PREFIX, redirect_prefix="http://b.net"),
        policy(Action.REDIRECT_TO_POOL, redirect_pool_id="blue"),
        pools=(pool("blue"),),
    )
    rules = (RuleSpec(type=RuleType.PATH, compare_type=CompareType.EQUAL_TO, value="/a"),)
    assert found.policies == (
        PolicySpec(id="x", action=Action.REDIRECT_TO_URL, rules=rules, url="http://a.net/", code=308),
        PolicySpec(id="x", action=Action.REDIRECT_PREFIX, rules=rules, url="http://b.net", code=302),
        PolicySpec(id="x", action=Action.REDIRECT_TO_POOL, rules=rules, pool_id="blue"),
    )
    assert found.pool_ids() == ("blue",)


def test_quotes_only_keep_a_text_together() -> None:
    rows = [
        (CompareType.EQUAL_TO, '"a b"', "a b"),
        (CompareType.CONTAINS, '"a"', "a"),
        (CompareType.REGEX, '"a b"', '"a b"'),
        (CompareType.EQUAL_TO, '""', '""'),
        (CompareType.EQUAL_TO, '"', '"'),
        (CompareType.EQUAL_TO, 'a"', 'a"'),
    ]
    rules = (rule(value, type=RuleType.HEADER, key="X", compare_type=compare) for compare, value, _what in rows)
    (found,) = listener(policy(Action.REJECT, *rules)).policies
    assert [each.value for each in found.rules] == [what for _compare, _value, what in rows]


def test_pools_of_policies_are_in_the_spec() -> None:
    wanted = policy(Action.REDIRECT_TO_POOL, redirect_pool_id="blue")
    found = spec(wanted, wanted, pools=(pool("blue"), pool("green")))
    assert [each.id for each in found.pools] == ["blue"]
