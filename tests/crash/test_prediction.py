"""The model itself: what it predicts for configurations whose answers are plain."""

from typing import Any

import pytest

from tests.crash.members import DEAD_PORT
from tests.crash.model import LAST, Balancer, Thing
from tests.crash.prediction import (
    HEADER,
    Request,
    admits,
    expected,
    inserted,
    introduces,
    passes,
    requests,
    strict_transport_security,
)

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
    ("rule", "by"),
    [
        ({"type": "SSL_CONN_HAS_CERT", "value": "true"}, {"ann", "bob"}),
        ({"type": "SSL_VERIFY_RESULT", "value": "0"}, {None, "ann", "bob"}),
        ({"type": "SSL_VERIFY_RESULT", "value": "1"}, set[str]()),
        ({"type": "SSL_DN_FIELD", "key": "CN", "value": "ann"}, {"ann"}),
        ({"type": "SSL_DN_FIELD", "key": "CN", "value": "ann", "invert": True}, {None, "bob"}),
    ],
)
def test_who_shows_which_certificate(rule: dict[str, Any], by: set[str | None]) -> None:
    made = balancer()
    made.things["listener"].values["protocol"] = "TERMINATED_HTTPS"
    policy(made, "refused", "REJECT")
    put(made, "rule", "rule", "refused", compare_type="EQUAL_TO", **rule)
    clients = (None, "ann", "bob")
    assert {client for client in clients if answer(made, encrypted=True, client=client) == "refused"} == by
    asked = requests(made, made.things["listener"], clients)
    assert [(each.target, each.client) for each in asked[:3]] == [("/", client) for client in clients]
    decided = {expected(made, made.things["listener"], each).by.split()[1] for each in asked}
    assert decided == ({"refused", "default"} if by else {"default"})
    assert {each.encrypted for each in asked} == {True}


def test_nobody_shows_a_certificate_without_tls() -> None:
    made = balancer()
    policy(made, "refused", "REJECT")
    put(made, "rule", "rule", "refused", type="SSL_VERIFY_RESULT", compare_type="EQUAL_TO", value="0")
    assert answer(made) == "default"
    assert [each.encrypted for each in requests(made, made.things["listener"])] == [False] * 2


def test_what_is_told_beside_the_answer() -> None:
    listener = balancer().things["listener"]
    assert (strict_transport_security(listener), list(inserted(listener))) == (None, [])
    listener.values |= {"insert_headers": {"X-Real-IP": "TRUE", "X-Forwarded-For": "false"}, "hsts_max_age": 0}
    assert (strict_transport_security(listener), list(inserted(listener))) == ("max-age=0", ["X-Real-IP"])
    listener.values |= {"hsts_include_subdomains": True, "hsts_preload": True}
    assert strict_transport_security(listener) == "max-age=0; includeSubDomains; preload"
    listener.values["hsts_max_age"] = None
    assert strict_transport_security(listener) is None


@pytest.mark.parametrize(
    ("persistence", "members", "all_of", "same"),
    [
        (None, {"1"}, True, False),
        ("HTTP_COOKIE", {"1"}, True, False),
        ("APP_COOKIE", {"1"}, True, False),
        ("SOURCE_IP", {"1", "2", "3"}, False, True),
    ],
)
def test_who_of_a_pool_answers(persistence: str | None, members: set[str], all_of: bool, same: bool) -> None:
    made = balancer()
    made.things["pool"].values["session_persistence"] = persistence and {"type": persistence}
    kinds: tuple[dict[str, Any], ...] = ({}, {"backup": True}, {"weight": 0}, {"admin_state_up": False})
    for port, values in enumerate(kinds, 1):
        put(made, "member", f"m{port}", "pool", protocol_port=port, **values)
    found = expected(made, made.things["listener"], Request())
    assert (set(found.members), found.all_of, found.same) == (members, all_of, same)


@pytest.mark.parametrize(
    ("monitor", "member", "passing"),
    [
        ({"type": "TCP", "admin_state_up": False}, {}, None),
        ({"type": "TCP"}, {}, True),
        ({"type": "TCP"}, {"protocol_port": DEAD_PORT}, False),
        ({"type": "TCP"}, {"protocol_port": DEAD_PORT, "monitor_port": 8002}, True),
        ({"type": "TCP"}, {"monitor_port": DEAD_PORT}, False),
        ({"type": "PING"}, {"protocol_port": DEAD_PORT}, True),
        ({"type": "HTTPS", "url_path": "/", "expected_codes": "503"}, {}, False),
        ({"type": "HTTP", "url_path": "/", "expected_codes": "200"}, {}, True),
        ({"type": "HTTP", "url_path": "/", "expected_codes": "503"}, {}, False),
        ({"type": "HTTP", "url_path": "/ill/8001-8003", "expected_codes": "200,204"}, {}, False),
        ({"type": "HTTP", "url_path": "/ill/8001-8003", "expected_codes": "200,503"}, {}, True),
        ({"type": "HTTP", "url_path": "/ill/8001-8003", "expected_codes": "200"}, {"monitor_port": 8002}, True),
    ],
)
def test_who_passes_checks(monitor: dict[str, Any], member: dict[str, Any], passing: bool | None) -> None:
    made = balancer()
    put(made, "healthmonitor", "hm", "pool", **monitor)
    values: dict[str, Any] = {"protocol_port": 8001, **member}
    found = passes(made, "pool", put(made, "member", "m", "pool", **values))
    assert found is passing
    # Who is not checked is asked all the same, and who is dead and said to be well, too.
    answers = {"8001"} if passing is not False and values["protocol_port"] != DEAD_PORT else set[str]()
    assert set(expected(made, made.things["listener"], Request()).members) == answers


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, {"8001": 1, "8002": 3}),
        ({"session_persistence": {"type": "HTTP_COOKIE"}}, {"8001": 1, "8002": 3}),
        ({"session_persistence": {"type": "SOURCE_IP"}}, {}),
        ({"lb_algorithm": "LEAST_CONNECTIONS"}, {}),
        ({"lb_algorithm": "SOURCE_IP"}, {}),
        ({"lb_algorithm": "SOURCE_IP_PORT"}, {}),
    ],
)
def test_who_gets_which_share(changes: dict[str, Any], weights: dict[str, int]) -> None:
    made = balancer()
    made.things["pool"].values.update(changes)
    for port, weight, backup in ((8001, 1, False), (8002, 3, False), (8003, 0, False), (8004, 2, True)):
        put(made, "member", f"m{port}", "pool", protocol_port=port, weight=weight, backup=backup)
    found = []
    for protocol in ("HTTP", "UDP"):
        made.things["listener"].values["protocol"] = protocol
        found.append(expected(made, made.things["listener"], Request()).weights)
    assert found == [weights, weights]
    put(made, "member", "dead", "pool", protocol_port=DEAD_PORT)
    assert expected(made, made.things["listener"], Request()).weights == {}


@pytest.mark.parametrize(
    ("algorithm", "all_of", "same"),
    [("ROUND_ROBIN", True, False), ("SOURCE_IP", False, True), ("SOURCE_IP_PORT", False, False)],
)
def test_who_is_found_by_the_client(algorithm: str, all_of: bool, same: bool) -> None:
    made = balancer()
    made.things["pool"].values["lb_algorithm"] = algorithm
    put(made, "member", "m", "pool", protocol_port=8001)
    found = expected(made, made.things["listener"], Request())
    assert (set(found.members), found.all_of, found.same) == ({"8001"}, all_of, same)


def test_who_is_taken() -> None:
    listener = balancer().things["listener"]
    assert admits(listener, "192.0.2.1")
    listener.values["allowed_cidrs"] = ["192.0.2.0/25", "198.51.100.7/32"]
    sources = ("192.0.2.1", "192.0.2.128", "198.51.100.7", "198.51.100.8")
    assert [admits(listener, source) for source in sources] == [True, False, True, False]


def test_who_is_introduced() -> None:
    made = balancer()
    assert introduces(made, None) is None
    found = []
    for protocol in ("HTTP", "PROXY", "PROXYV2"):
        made.things["pool"].values["protocol"] = protocol
        found.append(introduces(made, "pool"))
    assert found == [None, 1, 2]


def test_members_that_are_not_believed() -> None:
    made = balancer()
    put(made, "member", "m", "pool", protocol_port=8001)
    made.things["pool"].values |= {"tls_enabled": True, "ca_tls_container_ref": "other"}
    members, statuses = [], []
    for distrusting in ({"first"}, {"other"}):
        made.distrusting = distrusting
        found = expected(made, made.things["listener"], Request())
        members.append(set(found.members))
        statuses.append(set(found.statuses))
    assert (members, statuses) == ([{"8001"}, set()], [set(), {503}])
    put(made, "healthmonitor", "hm", "pool", type="TCP")
    assert passes(made, "pool", made.things["m"]) is False
    made.things["pool"].values["tls_enabled"] = False
    assert passes(made, "pool", made.things["m"]) is True
    assert set(expected(made, made.things["listener"], Request()).members) == {"8001"}


def test_datagrams_do_not_change_their_ip_version() -> None:
    made = balancer()
    put(made, "member", "m", "pool", protocol_port=8001)
    found = []
    for protocol in ("HTTP", "UDP"):
        made.things["listener"].values["protocol"] = protocol
        found += [expected(made, made.things["listener"], Request(), vip).members for vip in (None, "fd84::2")]
    assert found == [{"8001"}, {"8001"}, {"8001"}, set()]
