"""L7 policies: what goes with which action, positions, and who sees them (contract 50, section 1)."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import delete, update

from livia.store import confirmation
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree

URL, OTHER = "http://www.example.net/a", 'https://u@[2001:db8::1]:8443/p;x=%41?q=ü"{}#f'
SAME_TIME = "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"
POOL = "the tree's pool"

#: what a POST or PUT sets, and what of action, pool, URL, prefix and code is stored
TARGETS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"action": "REJECT"}, {"action": "REJECT"}),
    ({"action": "REJECT", "redirect_url": URL}, {"action": "REJECT"}),
    ({"action": "REJECT", "redirect_pool_id": POOL}, {"action": "REJECT"}),
    ({"action": "REJECT", "redirect_prefix": URL}, {"action": "REJECT"}),
    ({"action": "REJECT", "redirect_http_code": 301}, {"action": "REJECT"}),
    (
        {"action": "REDIRECT_TO_URL", "redirect_url": URL},
        {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 302},
    ),
    *(
        (
            {"action": "REDIRECT_TO_URL", "redirect_url": OTHER, "redirect_http_code": code},
            {"action": "REDIRECT_TO_URL", "redirect_url": OTHER, "redirect_http_code": int(code or 302)},
        )
        for code in (301, 302, "303", 307, 308, None)
    ),
    (
        {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_pool_id": POOL, "redirect_prefix": OTHER},
        {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 302},
    ),
    (
        {"action": "REDIRECT_TO_POOL", "redirect_pool_id": POOL, "redirect_url": URL, "redirect_http_code": 301},
        {"action": "REDIRECT_TO_POOL", "redirect_pool_id": POOL},
    ),
    (
        {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 308},
        {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 308},
    ),
    (
        {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_url": OTHER},
        {"action": "REDIRECT_TO_URL", "redirect_url": OTHER, "redirect_http_code": 302},
    ),
]
#: what only a PUT can set
SWITCHES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"redirect_url": URL}, {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 302}),
    ({"redirect_prefix": URL}, {"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_http_code": 302}),
    ({"redirect_pool_id": POOL}, {"action": "REDIRECT_TO_POOL", "redirect_pool_id": POOL}),
]
NOTHING = dict.fromkeys(("redirect_pool_id", "redirect_url", "redirect_prefix", "redirect_http_code"))


def _with_pool(values: dict[str, Any], tree: Tree) -> dict[str, Any]:
    return {name: tree.pool if value == POOL else value for name, value in values.items()}


def _target(policy: dict[str, Any]) -> dict[str, Any]:
    return {name: policy[name] for name in ("action", *NOTHING)}


def test_targets(harness: Harness, tree: Tree) -> None:
    for sent, stored in TARGETS:
        expected = _with_pool({**NOTHING, **stored}, tree)
        assert _target(harness.policy(tree.listener, **_with_pool(sent, tree))) == expected, sent
    for sent, stored in (*TARGETS, *SWITCHES):
        for start in ({"action": "REJECT"}, {"action": "REDIRECT_TO_URL", "redirect_url": URL}):
            policy = harness.policy(tree.listener, **start)["id"]
            changed = harness.accepted(
                harness.client.put(f"/l7policies/{policy}", {"l7policy": _with_pool(sent, tree)}), 200
            )
            assert _target(changed) == _with_pool({**NOTHING, **stored}, tree), (start, sent)


def test_a_change_of_something_else_keeps_the_target(harness: Harness, tree: Tree) -> None:
    """Codes are stored whatever the action, nulls of what the policy does not have change nothing."""
    url = {"action": "REDIRECT_TO_URL", "redirect_url": URL, "redirect_http_code": 301}
    pool = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": tree.pool}
    for start, sent, stored in (
        (url, {"name": "n"}, url),
        (url, {"redirect_http_code": None}, {**url, "redirect_http_code": None}),
        (url, {"redirect_http_code": 307}, {**url, "redirect_http_code": 307}),
        (url, {"redirect_pool_id": None, "redirect_prefix": None}, url),
        (pool, {"redirect_http_code": 301}, {**pool, "redirect_http_code": 301}),
        (pool, {"redirect_url": None}, pool),
        ({"action": "REJECT"}, {"redirect_http_code": 301}, {"action": "REJECT", "redirect_http_code": 301}),
    ):
        policy = harness.policy(tree.listener, **start)["id"]
        changed = harness.accepted(harness.client.put(f"/l7policies/{policy}", {"l7policy": sent}), 200)
        assert _target(changed) == {**NOTHING, **stored}, sent


#: what a POST or PUT sets, and what it is told
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"action": "REDIRECT_TO_URL"}, "redirect_url must not be None"),
    ({"action": "REDIRECT_TO_URL", "redirect_url": None}, "redirect_url must not be None"),
    ({"action": "REDIRECT_TO_URL", "redirect_pool_id": POOL}, "redirect_url must not be None"),
    ({"action": "REDIRECT_TO_POOL"}, "redirect_pool_id or redirect_pool must not be None"),
    ({"action": "REDIRECT_TO_POOL", "redirect_url": URL}, "redirect_pool_id or redirect_pool must not be None"),
    ({"action": "REDIRECT_TO_POOL", "redirect_pool_id": POOL, "redirect_prefix": URL}, SAME_TIME),
    ({"action": "REDIRECT_PREFIX"}, "redirect_prefix must not be None"),
    ({"action": "REDIRECT_PREFIX", "redirect_prefix": URL, "redirect_pool_id": POOL}, SAME_TIME),
]


def test_wrong_targets(harness: Harness, tree: Tree) -> None:
    for sent, text in WRONG:
        body = {"l7policy": {"listener_id": tree.listener, **_with_pool(sent, tree)}}
        harness.refused("POST", "/l7policies", body, 400, f"Invalid L7 Policy arguments: {text}")
    taken = [({"redirect_url": None}, "redirect_url must not be None"), ({}, "Invalid update options")]
    both = {"redirect_pool_id": POOL, "redirect_url": URL}
    for sent, text in (*WRONG, *taken, (both, SAME_TIME)):
        body = {"l7policy": _with_pool(sent, tree)}
        harness.refused("PUT", tree.paths["l7policy"], body, 400, f"Invalid L7 Policy arguments: {text}")
    nothing = {"l7policy": {"action": None}}
    harness.refused("PUT", tree.paths["l7policy"], nothing, 400, "Invalid L7 Policy action specified: None")
    to_pool = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": tree.pool}
    policy = harness.policy(tree.listener, **to_pool)["id"]
    text = "Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None"
    harness.refused("PUT", f"/l7policies/{policy}", {"l7policy": {"redirect_pool_id": None}}, 400, text)


def test_listeners_and_pools_that_do_not_fit(harness: Harness, tree: Tree) -> None:
    elsewhere = harness.pool(loadbalancer_id=harness.load_balancer()["id"])["id"]
    tcp_pool = harness.pool(loadbalancer_id=tree.load_balancer, protocol="TCP")["id"]
    tcp = harness.listener(tree.load_balancer, protocol="TCP", protocol_port=81)["id"]
    harness.set_status("listener", tree.listener, "ACTIVE")
    unfit = "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."
    rows: list[tuple[dict[str, Any], int, str]] = [
        ({"listener_id": UNKNOWN}, 404, f"Listener {UNKNOWN} not found."),
        ({"redirect_pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
        ({"redirect_pool_id": elsewhere}, 404, f"Pool {elsewhere} not found."),
        ({"action": "REDIRECT_TO_POOL", "redirect_pool_id": tcp_pool}, 400, unfit),
        ({"listener_id": tcp}, 501, "Provider 'amphora' does not support a requested option: "),
    ]
    for sent, status, text in rows:
        harness.refused("POST", "/l7policies", {"l7policy": {**tree.minimal("l7policy"), **sent}}, status, text)
        if "listener_id" not in sent:
            harness.refused("PUT", tree.paths["l7policy"], {"l7policy": {"action": "REJECT", **sent}}, status, text)
    unknown = f"L7 Policy {UNKNOWN} not found."
    for method, body in (("GET", None), ("PUT", {"l7policy": {"name": "x"}}), ("DELETE", None)):
        harness.refused(method, f"/l7policies/{UNKNOWN}", body, 404, unknown)
    direct = {"l7policy": {**tree.minimal("l7policy"), "redirect_pool": {}}}
    harness.refused("POST", "/l7policies", direct, 400, "Unknown attribute for argument l7policy_.l7policy: redirect_")
    for method in ("POST", "PUT"):
        path = "/l7policies" if method == "POST" else tree.paths["l7policy"]
        harness.refused(method, path, None, 400, 'Missing argument: "l7policy_"')


def test_a_prometheus_listener_has_no_policies(harness: Harness, tree: Tree) -> None:
    with harness.database.write() as connection:
        connection.execute(update(t.listener).values(protocol="PROMETHEUS"))
    text = "Protocol PROMETHEUS listeners cannot have child objects."
    harness.refused("POST", "/l7policies", {"l7policy": tree.minimal("l7policy")}, 400, text)


def test_a_policy_with_rules_at_once(harness: Harness, tree: Tree) -> None:
    rules = [{"type": "PATH", "compare_type": "EQUAL_TO", "value": f"/{name}", "tags": ["t"]} for name in "ab"]
    policy = harness.policy(tree.listener, rules=rules)
    listed = harness.client.get(f"/l7policies/{policy['id']}/rules").json["rules"]
    assert {each["id"]: each["value"] for each in listed} == {
        each["id"]: f"/{name}" for each, name in zip(policy["rules"], "ab", strict=True)
    }
    wrong = {"l7policy": {**tree.minimal("l7policy"), "rules": [{**rules[0], "value": "a b"}]}}
    harness.refused("POST", "/l7policies", wrong, 400, "Error parsing L7Rule: Invalid characters in comparison value")


def _order(harness: Harness, listener_id: str) -> list[str]:
    """Names by position, which must count from 1 without gaps; the listener lists them in that order."""
    found = harness.client.get("/l7policies", listener_id=listener_id, sort="position").json["l7policies"]
    assert [each["position"] for each in found] == list(range(1, len(found) + 1))
    shown = harness.client.get(f"/listeners/{listener_id}").json["listener"]["l7policies"]
    assert shown == [{"id": each["id"]} for each in found]
    return [each["name"] for each in found]


def _policies(harness: Harness, listener_id: str, rows: Sequence[tuple[str, int | None]]) -> dict[str, str]:
    """Name to id of new policies at wanted positions."""
    return {name: harness.policy(listener_id, name=name, position=at)["id"] for name, at in rows}


def test_positions(anywhere: Harness) -> None:
    load_balancer = anywhere.load_balancer()["id"]
    listener = anywhere.listener(load_balancer)["id"]
    others = anywhere.listener(load_balancer, protocol_port=81)["id"]
    _policies(anywhere, others, [("x", 1), ("y", 1)])
    rows = [("a", None), ("b", 5), ("c", 1), ("d", 2147483647), ("e", 2)]
    ids = _policies(anywhere, listener, rows)
    assert _order(anywhere, listener) == ["c", "e", "a", "b", "d"]
    for name, change, order in (
        ("c", {"position": 3}, "eacbd"),
        ("d", {"position": 1}, "deacb"),
        ("d", {"position": 99}, "eacbd"),
        ("a", {"position": None}, "eacbd"),
        ("a", {"position": 2}, "eacbd"),
        ("a", {"admin_state_up": False}, "eacbd"),
    ):
        shown = anywhere.accepted(anywhere.client.put(f"/l7policies/{ids[name]}", {"l7policy": change}), 200)
        assert "".join(_order(anywhere, listener)) == order, (name, change)
        assert shown["position"] == order.index(name) + 1
    for name in ("c", "e"):
        assert anywhere.client.delete(f"/l7policies/{ids[name]}").status == 204
    assert "".join(_order(anywhere, listener)) == "eacbd"
    anywhere.policy(listener, name="f", position=2)
    generation = anywhere.generation("load_balancer", load_balancer)
    now = anywhere.deps.clock.now()
    anywhere.database.transaction(lambda each: confirmation.confirm(each, load_balancer, generation, now))
    assert "".join(_order(anywhere, listener)) == "fabd"
    assert _order(anywhere, others) == ["y", "x"]


def test_positions_hold_under_a_rush(anywhere: Harness) -> None:
    """Inserted, moved, deleted and confirmed at the same time, they still count from 1 without gaps."""
    load_balancer = anywhere.load_balancer()["id"]
    listener = anywhere.listener(load_balancer)["id"]
    ids = list(_policies(anywhere, listener, [(name, None) for name in "abcd"]).values())
    generation = anywhere.generation("load_balancer", load_balancer)

    def confirm() -> int:
        now = anywhere.deps.clock.now()
        anywhere.database.transaction(lambda each: confirmation.confirm(each, load_balancer, generation + 2, now))
        return 204

    def add() -> int:
        body = {"listener_id": listener, "action": "REJECT", "position": 2}
        return anywhere.client.post("/l7policies", {"l7policy": body}).status

    move = {"l7policy": {"position": 1}}
    calls: list[Callable[[], int]] = [
        *([add] * 4),
        lambda: anywhere.client.delete(f"/l7policies/{ids[0]}").status,
        lambda: anywhere.client.delete(f"/l7policies/{ids[1]}").status,
        lambda: anywhere.client.put(f"/l7policies/{ids[3]}", move).status,
        confirm,
        confirm,
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        statuses = sorted(pool.map(lambda call: call(), calls))
    assert statuses == [200, *[201] * 4, *[204] * 4]
    assert len(_order(anywhere, listener)) >= 6
    now = anywhere.deps.clock.now()
    anywhere.database.transaction(lambda each: confirmation.confirm(each, load_balancer, generation + 99, now))
    assert len(_order(anywhere, listener)) == 6


def test_statuses_once_confirmed(anywhere: Harness) -> None:
    tree = anywhere.tree()
    off = anywhere.policy(tree.listener, admin_state_up=False)["id"]
    rule = anywhere.rule(off, admin_state_up=False)["id"]
    for item in ("l7policy", "rule"):
        assert anywhere.client.put(tree.paths[item], {item: tree.least_change(item)}).status == 200
    generation = anywhere.generation("load_balancer", tree.load_balancer)
    now = anywhere.deps.clock.now()
    anywhere.database.transaction(lambda each: confirmation.confirm(each, tree.load_balancer, generation, now))
    for path, item, status in (
        (tree.paths["l7policy"], "l7policy", "ONLINE"),
        (tree.paths["rule"], "rule", "ONLINE"),
        (f"/l7policies/{off}", "l7policy", "OFFLINE"),
        (f"/l7policies/{off}/rules/{rule}", "rule", "OFFLINE"),
    ):
        shown = anywhere.client.get(path).json[item]
        assert (shown["provisioning_status"], shown["operating_status"]) == ("ACTIVE", status), path
        assert shown["updated_at"] is not None


def test_pools_by_policies(anywhere: Harness) -> None:
    """An enabled policy with a rule makes its listener one that uses the pool (contracts 00, 14.2; 10, 8; 30, A2)."""
    tree = anywhere.tree()
    pool = anywhere.pool(loadbalancer_id=tree.load_balancer, name="green")["id"]
    policy = anywhere.policy(tree.listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool)["id"]

    def using() -> tuple[bool, bool, bool]:
        anywhere.confirm(tree.load_balancer)
        shown = anywhere.client.get(f"/pools/{pool}").json["pool"]["listeners"]
        status = anywhere.client.get(f"{tree.paths['loadbalancer']}/status").json["statuses"]["loadbalancer"]
        listed = [each["name"] for each in status["listeners"][0]["pools"]]
        assert listed in (["blue"], ["blue", "green"])
        assert anywhere.client.put(f"/pools/{pool}", {"pool": {}}).status == 200
        touched = anywhere.statuses(tree.load_balancer)["listener http"] == "PENDING_UPDATE"
        return shown == [{"id": tree.listener}], listed == ["blue", "green"], touched

    assert using() == (False, False, False)
    rule = anywhere.rule(policy)["id"]
    assert using() == (True, True, True)
    second = anywhere.policy(tree.listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool)["id"]
    anywhere.rule(second)
    assert using() == (True, True, True)
    assert anywhere.client.delete(f"/l7policies/{second}").status == 204
    anywhere.client.put(f"/l7policies/{policy}", {"l7policy": {"admin_state_up": False}})
    anywhere.client.put(f"/l7policies/{second}", {"l7policy": {"admin_state_up": False}})
    with anywhere.database.write() as connection:
        connection.execute(delete(t.l7rule).where(t.l7rule.c.l7policy_id == second))
    assert using() == (False, False, False)
    anywhere.client.put(f"/l7policies/{policy}", {"l7policy": {"admin_state_up": True}})
    assert using() == (True, True, True)
    assert rule in str(anywhere.client.get(f"/l7policies/{policy}").json)


def test_a_listener_that_makes_way_takes_its_policies_along(anywhere: Harness) -> None:
    tree = anywhere.tree()
    assert anywhere.client.delete(tree.paths["listener"]).status == 204
    again = anywhere.listener(tree.load_balancer)
    assert again["l7policies"] == []
    assert anywhere.client.get("/l7policies").json["l7policies"] == []


def test_strict_order_of_refusals(make: MakeHarness) -> None:
    tree = make().tree()
    harness = make(immutable_while_pending=True, default_l7policy_quota=2)
    harness.set_status("listener", tree.listener, "ERROR")
    immutable = f"Load Balancer {tree.load_balancer} is immutable and cannot be updated."
    no_target = {"listener_id": tree.listener, "action": "REDIRECT_TO_URL"}
    harness.refused("POST", "/l7policies", {"l7policy": no_target}, 409, immutable)
    harness.refused("POST", "/l7policies", {"l7policy": {**no_target, "redirect_pool_id": UNKNOWN}}, 404, "Pool")
    harness.refused("PUT", tree.paths["l7policy"], {"l7policy": {"name": "x"}}, 409, immutable)
    harness.refused("PUT", tree.paths["l7policy"], {"l7policy": {"action": "REDIRECT_TO_URL"}}, 400, "redirect_url")
    harness.refused("DELETE", tree.paths["l7policy"], None, 409, immutable)
    harness.set_status("listener", tree.listener, "ACTIVE")
    harness.set_status("l7policy", tree.policy, "ERROR")
    assert harness.client.put(tree.paths["l7policy"], {"l7policy": {"name": "x"}}).status == 200
    assert make().policy(tree.listener)["position"] == 2
    full = "Quota has been met for resources: L7 Policy"
    assert harness.refused("POST", "/l7policies", {"l7policy": no_target}, 403) == full
