"""The model itself: what it predicts for configurations whose answers are plain."""

from typing import Any

import pytest

from tests.crash.model import LAST, Balancer, Thing
from tests.crash.prediction import HEADER, Request, expected, requests

URL = "http://www.example.net/"


def balancer() -> Balancer:
    made = Balancer(id="lb", vip="10.0.0.1", project="p", owner="o", values={})
    put(made, "pool", "pool", protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    put(made, "listener", "listener", protocol="HTTP", default_pool_id="pool")
    return made


def put(made: Balancer, kind: str, name: str, parent: str | None = None, **values: Any) -> Thing:
    thing = Thing(kind=kind, id=name, owner="o", values=values, parent=parent)
    made.add(thing)
    return thing


def policy(made: Balancer, key: str, action: str, position: int = LAST, **values: Any) -> Thing:
    """A policy for everything below /one."""
    put(made, "l7policy", key, "listener", action=action, position=position, **values)
    rule = {"type": "PATH", "compare_type": "STARTS_WITH", "key": None, "value": "/one"}
    put(made, "rule", f"{key}-rule", key, **rule)
    return made.things[key]


def answer(made: Balancer, **request: Any) -> str:
    """What decides."""
    return expected(made, made.things["listener"], Request(**{"target": "/one/two", **request})).by.split()[1]


def order(made: Balancer) -> list[str]:
    found = made.policies("listener")
    assert [each.values["position"] for each in found] == list(range(1, len(found) + 1))
    return [each.id for each in found]


def test_positions_shift_and_close() -> None:
    made = balancer()
    for key, position in (("a", LAST), ("b", LAST), ("c", 1), ("d", 2)):
        policy(made, key, "REJECT", position)
    assert order(made) == ["c", "d", "a", "b"]
    made.place(made.things["b"], 1)
    made.place(made.things["c"], LAST)
    assert order(made) == ["b", "d", "a", "c"]
    made.remove("d")
    assert order(made) == ["b", "a", "c"]
    assert made.counting == {"listener"}


def test_action_comes_before_position() -> None:
    made = balancer()
    policy(made, "pooled", "REDIRECT_TO_POOL", redirect_pool_id="pool")
    policy(made, "sent", "REDIRECT_TO_URL", redirect_url=URL)
    policy(made, "prefixed", "REDIRECT_PREFIX", redirect_prefix=URL, redirect_http_code=308)
    policy(made, "refused", "REJECT")
    chosen = []
    while order(made):
        chosen.append(answer(made))
        made.remove(chosen[-1])
    assert chosen == ["refused", "sent", "prefixed", "pooled"]
    assert expected(made, made.things["listener"], Request()).statuses == {503}


def test_who_matches() -> None:
    made = balancer()
    policy(made, "refused", "REJECT")
    put(made, "rule", "rule", "refused", type="HEADER", compare_type="EQUAL_TO", key=HEADER, value="yes")
    assert answer(made, header="no, yes") == "refused"
    assert answer(made, header="no") == "default"
    assert answer(made, target="/two?/one", header="yes") == "default"
    made.things["rule"].values["invert"] = True
    assert answer(made) == "refused"
    made.things["refused-rule"].values["admin_state_up"] = False
    assert answer(made, target="/", header="no") == "refused"
    made.things["rule"].values["admin_state_up"] = False
    assert answer(made) == "default"
    told_apart = {(request.target, request.header) for request in requests(made, made.things["listener"])}
    assert len(told_apart) == 4


@pytest.mark.parametrize(
    ("persistence", "members", "all_of", "same"),
    [(None, {"1"}, True, False), ("HTTP_COOKIE", {"1"}, True, False), ("SOURCE_IP", {"1", "2", "3"}, False, True)],
)
def test_who_of_a_pool_answers(persistence: str | None, members: set[str], all_of: bool, same: bool) -> None:
    made = balancer()
    made.things["pool"].values["session_persistence"] = persistence and {"type": persistence}
    kinds: tuple[dict[str, Any], ...] = ({}, {"backup": True}, {"weight": 0}, {"admin_state_up": False})
    for port, values in enumerate(kinds, 1):
        put(made, "member", f"m{port}", "pool", protocol_port=port, **values)
    found = expected(made, made.things["listener"], Request())
    assert (set(found.members), found.all_of, found.same) == (members, all_of, same)
