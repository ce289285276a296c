"""Values come back as they were sent, whatever stands between: JSON is made in the database, where each has its own."""

from tests.api.harness import Harness

#: every character that has to be escaped somewhere, and some that need several bytes
_AWKWARD = "".join(map(chr, range(1, 32))) + '"\\/\u007f\u0085\u2028\u2029\ufffd é 漢字 😀 %s %(x)s :name ?'


def test_any_text_comes_back(anywhere: Harness) -> None:
    wanted = {"name": _AWKWARD, "description": "\\", "tags": [_AWKWARD, "\\\\", "a,b"]}
    created = anywhere.load_balancer(**wanted)
    listed = anywhere.client.get("/loadbalancers").json["loadbalancers"]
    for shown in (created, *listed, anywhere.client.get(f"/loadbalancers/{created['id']}").json["loadbalancer"]):
        assert {name: shown[name] for name in wanted} == {**wanted, "tags": sorted(wanted["tags"])}


def test_values_keep_their_kinds(anywhere: Harness) -> None:
    tree = anywhere.tree()
    listener = anywhere.listener(
        tree.load_balancer, protocol_port=81, connection_limit=2**62, insert_headers={"X-Forwarded-For": "true"}
    )
    member = anywhere.member(tree.pool, address="10.0.0.30", backup=True, admin_state_up=False, weight=0)
    monitor = anywhere.client.put(tree.paths["healthmonitor"], {"healthmonitor": {"http_version": 1.1}})
    assert monitor.json["healthmonitor"]["http_version"] == 1.1
    assert listener["connection_limit"] == 2**62
    assert listener["insert_headers"] == {"X-Forwarded-For": "true"}
    assert [listener[name] for name in ("admin_state_up", "hsts_preload", "hsts_max_age")] == [True, False, None]
    assert [type(member[name]) for name in ("backup", "admin_state_up", "weight")] == [bool, bool, int]
