"""The model itself: operating statuses for configurations where they are plain."""

from typing import Any

import pytest

from tests.crash.members import DEAD_PORT
from tests.crash.model import Balancer
from tests.crash.statuses import operating
from tests.crash.test_prediction import balancer, policy, put

WELL: dict[str, Any] = {"protocol_port": 8001, "weight": 1}
DEAD: dict[str, Any] = {"protocol_port": DEAD_PORT, "weight": 1}
DRAINED: dict[str, Any] = {"protocol_port": 8002, "weight": 0}
OFF: dict[str, Any] = {"protocol_port": 8003, "weight": 1, "admin_state_up": False}


def shown(made: Balancer, *keys: str) -> list[str]:
    """Each of the statuses, of several that are right in order and with a bar."""
    found = operating(made)
    return ["|".join(sorted(found[key])) for key in keys]


@pytest.mark.parametrize(
    ("members", "checked", "of_members", "pool", "whole"),
    [
        ([], True, [], "ONLINE", "ONLINE"),
        ([WELL, DRAINED, OFF], False, ["NO_MONITOR", "DRAINING", "OFFLINE"], "ONLINE", "ONLINE"),
        ([WELL, DRAINED, OFF], True, ["ONLINE", "DRAINING", "OFFLINE"], "ONLINE", "ONLINE"),
        ([WELL, DEAD], True, ["ONLINE", "ERROR"], "DEGRADED", "DEGRADED"),
        ([DEAD, OFF], True, ["ERROR", "OFFLINE"], "ERROR", "ERROR"),
        ([DEAD, {**DEAD, "weight": 0}], False, ["NO_MONITOR", "DRAINING"], "ONLINE", "ONLINE"),
        ([{**DEAD, "weight": 0}, WELL], True, ["ERROR", "ONLINE"], "DEGRADED", "DEGRADED"),
        ([DRAINED, OFF], True, ["DRAINING", "OFFLINE"], "ERROR", "ERROR"),
    ],
)
def test_what_members_make_of_the_rest(
    members: list[dict[str, Any]], checked: bool, of_members: list[str], pool: str, whole: str
) -> None:
    made = balancer()
    keys = [f"m{number}" for number in range(len(members))]
    for key, values in zip(keys, members, strict=True):
        put(made, "member", key, "pool", **values)
    put(made, "healthmonitor", "hm", "pool", type="TCP", admin_state_up=checked)
    assert shown(made, *keys, "pool", "listener", "lb") == [*of_members, pool, "ONLINE", whole]
    assert shown(made, "hm") == ["ONLINE" if checked else "OFFLINE"]


@pytest.mark.parametrize(
    ("member", "checked", "pool"),
    [(DRAINED, True, "ONLINE"), (OFF, True, "ERROR"), (OFF, False, "ONLINE"), (DEAD, True, "ERROR")],
)
def test_a_pool_of_datagrams(member: dict[str, Any], checked: bool, pool: str) -> None:
    made = balancer()
    made.things["listener"].values["protocol"] = "UDP"
    put(made, "member", "m", "pool", **member)
    put(made, "healthmonitor", "hm", "pool", type="UDP-CONNECT", admin_state_up=checked)
    assert shown(made, "pool") == [pool]


def test_what_nobody_uses_is_offline() -> None:
    made = balancer()
    put(made, "member", "m", "pool", **DEAD)
    made.things["listener"].values["default_pool_id"] = None
    assert shown(made, "pool", "m", "listener", "lb") == ["OFFLINE", "NO_MONITOR|OFFLINE", "ONLINE", "ONLINE"]
    policy(made, "p", "REDIRECT_TO_POOL", redirect_pool_id="pool")
    assert shown(made, "pool", "m", "p", "p-rule") == ["ONLINE", "NO_MONITOR", "ONLINE", "ONLINE"]
    for part in ("p-rule", "p", "pool", "listener"):
        made.things[part].values["admin_state_up"] = False
        assert shown(made, "pool", part) == ["OFFLINE", "OFFLINE"]
        made.things[part].values["admin_state_up"] = True
    made.values["admin_state_up"] = False
    assert shown(made, "pool", "listener", "lb", "p") == ["OFFLINE", "OFFLINE", "OFFLINE", "ONLINE"]
