"""L7 rules: what goes together, their limits, and their policy (contract 50, section 2)."""

from typing import Any

from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree

PARSING = "Error parsing L7Rule: "
#: one complete rule of each type
COMPLETE: dict[str, dict[str, Any]] = {
    "HOST_NAME": {"compare_type": "EQUAL_TO", "value": "www.example.net"},
    "PATH": {"compare_type": "REGEX", "value": "^/a b[0-9]+$"},
    "FILE_TYPE": {"compare_type": "EQUAL_TO", "value": "jpg"},
    "HEADER": {"compare_type": "CONTAINS", "key": "X-Any!", "value": '"a b"'},
    "COOKIE": {"compare_type": "ENDS_WITH", "key": "c", "value": "a,b"},
    "SSL_CONN_HAS_CERT": {"compare_type": "EQUAL_TO", "value": "tRue"},
    "SSL_VERIFY_RESULT": {"compare_type": "EQUAL_TO", "value": "0"},
    "SSL_DN_FIELD": {"compare_type": "STARTS_WITH", "key": "OU-1", "value": "ü, \\"},
}
#: beyond the complete rule of a type, and the refusal
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("PATH", {"value": ""}, "Invalid L7 Rule: L7 rule type requires a value"),
    ("HEADER", {"key": None}, "Invalid L7 Rule: L7 rule type requires a key"),
    ("COOKIE", {"key": ""}, "Invalid L7 Rule: L7 rule type requires a key"),
    ("SSL_DN_FIELD", {"key": None}, "Invalid L7 Rule: L7 rule type requires a key"),
    ("FILE_TYPE", {"compare_type": "CONTAINS"}, "Invalid L7 Rule: invalid comparison type for rule type"),
    ("HEADER", {"key": "a b"}, "Invalid characters in key"),
    ("COOKIE", {"key": "a;"}, "Invalid characters in key"),
    ("SSL_DN_FIELD", {"key": "1CN"}, "Invalid characters in key"),
    ("HEADER", {"value": "a b"}, "Invalid characters in header value"),
    ("COOKIE", {"value": "a;b"}, "Invalid characters in cookie value"),
    ("HEADER", {"value": "a\x01"}, "Invalid characters in header value"),
    ("COOKIE", {"compare_type": "REGEX", "value": "\x7f"}, "Invalid characters in cookie value"),
    ("PATH", {"value": "\x7f"}, "Invalid characters in comparison value"),
    ("HOST_NAME", {"value": "wüw"}, "Invalid characters in comparison value"),
    ("PATH", {"value": "[a"}, "Unable to parse regular expression: "),
    ("SSL_CONN_HAS_CERT", {"value": "False"}, "Invalid L7 Rule: SSL_CONN_HAS_CERT rules"),
    ("SSL_CONN_HAS_CERT", {"key": "k"}, "Invalid L7 Rule: SSL_CONN_HAS_CERT rules"),
    ("SSL_VERIFY_RESULT", {"value": "-1"}, "Invalid L7 Rule: SSL_VERIFY_RESULT rules"),
    ("SSL_VERIFY_RESULT", {"compare_type": "REGEX"}, "Invalid L7 Rule: SSL_VERIFY_RESULT rules"),
]


def test_every_type(harness: Harness, tree: Tree) -> None:
    for kind, values in COMPLETE.items():
        created = harness.rule(tree.policy, type=kind, **values)
        assert {name: created[name] for name in ("type", *values)} == {"type": kind, **values}
        assert harness.client.get(f"{tree.collections['rule']}/{created['id']}").json == {"rule": created}


def test_what_does_not_go_together(harness: Harness, tree: Tree) -> None:
    for kind, values, text in WRONG:
        body = {"type": kind, **COMPLETE[kind], **values}
        harness.refused("POST", tree.collections["rule"], {"rule": body}, 400, PARSING + text)
        stored = harness.rule(tree.policy, type=kind, **COMPLETE[kind])["id"]
        harness.refused("PUT", f"{tree.collections['rule']}/{stored}", {"rule": values}, 400, PARSING + text)


def test_changes_are_judged_with_what_is_stored(harness: Harness, tree: Tree) -> None:
    path = f"{tree.collections['rule']}/{harness.rule(tree.policy, type='HEADER', **COMPLETE['HEADER'])['id']}"
    harness.refused("PUT", path, {"rule": {"type": "COOKIE"}}, 400, PARSING + "Invalid characters in cookie value")
    harness.refused("PUT", path, {"rule": {"type": "SSL_CONN_HAS_CERT"}}, 400, PARSING)
    shown = harness.accepted(harness.client.put(path, {"rule": {"type": "COOKIE", "value": "a"}}), 200)
    assert (shown["type"], shown["key"]) == ("COOKIE", "X-Any!")
    # A type that needs no key forgets it.
    shown = harness.accepted(harness.client.put(path, {"rule": {"type": "PATH"}}), 200)
    assert (shown["type"], shown["key"], shown["value"]) == ("PATH", None, "a")
    harness.refused("PUT", path, {"rule": {"type": "HEADER"}}, 400, "requires a key")
    shown = harness.accepted(harness.client.put(path, {"rule": {"type": "HOST_NAME", "key": "kept"}}), 200)
    assert (shown["type"], shown["key"]) == ("HOST_NAME", "kept")


def test_where_rules_are(harness: Harness, tree: Tree) -> None:
    other = harness.policy(tree.listener)["id"]
    no_policy, no_rule = f"L7Policy {UNKNOWN} not found.", f"L7 Rule {tree.rule} not found."
    calls: list[tuple[str, str, Any]] = [("GET", "", None), ("PUT", "", {"rule": {}}), ("DELETE", "", None)]
    for method, _text, body in calls:
        harness.refused(method, f"/l7policies/{UNKNOWN}/rules/{tree.rule}", body, 404, no_policy)
        harness.refused(method, f"/l7policies/{other}/rules/{tree.rule}", body, 404, no_rule)
        harness.refused(method, f"/l7policies/{tree.policy}/rules/x", body, 404, "L7 Rule x not found.")
    harness.refused("GET", f"/l7policies/{UNKNOWN}/rules", None, 404, no_policy)
    harness.refused("POST", f"/l7policies/{UNKNOWN}/rules", {"rule": tree.minimal("rule")}, 404, no_policy)
    assert harness.client.get(f"/l7policies/{other}/rules").json == {"rules": [], "rules_links": []}
    for policy, found in ((tree.policy, [tree.rule]), (other, [])):
        listed = harness.client.get(tree.collections["rule"], l7policy_id=policy).json["rules"]
        assert [each["id"] for each in listed] == found, policy
    for method, path, argument in (("POST", "rule", "rule_"), ("PUT", "rule", "l7rule_")):
        paths = tree.collections if method == "POST" else tree.paths
        harness.refused(method, paths[path], None, 400, f'Missing argument: "{argument}"')
    for method in ("PUT", "DELETE"):
        harness.refused(method, tree.collections["rule"], None, 400, 'Missing argument: "id"')
    harness.refused("POST", tree.paths["rule"], None, 400, "Unknown argument")


def test_fifty_rules(make: MakeHarness) -> None:
    harness = make(default_l7rule_quota=51)
    listener = harness.listener(harness.load_balancer()["id"])["id"]
    rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/x"}
    policy = harness.policy(listener, rules=[{**rule, "admin_state_up": number > 5} for number in range(50)])["id"]
    text = f"Too many rules on L7 policy {policy}"
    harness.refused("POST", f"/l7policies/{policy}/rules", {"rule": rule}, 409, text)
    second = harness.policy(listener)["id"]
    harness.rule(second)
    full = harness.refused("POST", f"/l7policies/{second}/rules", {"rule": rule}, 403)
    assert full == "Quota has been met for resources: L7 Rule"
    many = {"l7policy": {"listener_id": listener, "action": "REJECT", "rules": [rule] * 51}}
    make().refused("POST", "/l7policies", many, 409, "Too many rules on L7 policy")
    # One that is on its way out makes room.
    first = make().client.get(f"/l7policies/{policy}").json["l7policy"]["rules"][0]["id"]
    assert make().client.delete(f"/l7policies/{policy}/rules/{first}").status == 204
    make().rule(policy)


def test_strict_order_of_refusals(make: MakeHarness) -> None:
    tree = make().tree()
    harness = make(immutable_while_pending=True)
    path, body = tree.collections["rule"], {"rule": tree.minimal("rule")}
    policy = f"L7Policy {tree.policy} is immutable and cannot be updated."
    load_balancer = f"Load Balancer {tree.load_balancer} is immutable and cannot be updated."
    wrong = {"rule": {**tree.minimal("rule"), "value": ""}}
    for kind, text in (("l7policy", policy), ("listener", load_balancer), ("load_balancer", load_balancer)):
        harness.set_status(kind, tree.ids[kind], "ERROR")
        harness.refused("POST", path, body, 409, text)
        harness.refused("PUT", tree.paths["rule"], {"rule": {}}, 409, text)
        harness.refused("DELETE", tree.paths["rule"], None, 409, text)
        harness.refused("POST", path, wrong, 400, "requires a value")
        harness.refused("PUT", tree.paths["rule"], {"rule": {"value": ""}}, 400, "requires a value")
        harness.set_status(kind, tree.ids[kind], "ACTIVE")
    harness.set_status("l7rule", tree.rule, "ERROR")
    assert harness.client.put(tree.paths["rule"], {"rule": {}}).status == 200
