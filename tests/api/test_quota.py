"""Quotas (contract 60, section 1)."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from livia.core.drivers import Subnet
from livia.drivers.network.noop import NoopNetworks
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import SUBNET, Harness
from tests.api.test_lists import HeaderAuth, OwnerPolicy
from tests.api.test_offer import Asked

PLAIN = ["listener", "pool", "member", "l7policy", "l7rule"]
PAIRS = {"loadbalancer": "load_balancer", "healthmonitor": "health_monitor"}
NAMES = [*PLAIN, *PAIRS, *PAIRS.values()]
MOST = 2000000000


def limits(value: int = -1, project: str = "mine", **others: int) -> dict[str, Any]:
    """A quota that is `value` everywhere but where `others` says (both spellings are named)."""
    return {**dict.fromkeys(NAMES, value), **others, "project_id": project, "tenant_id": project}


def put(harness: Harness, values: dict[str, Any], project: str = "mine") -> dict[str, Any]:
    return harness.accepted(harness.client.put(f"/quotas/{project}", {"quota": values}), 202)


def test_a_project_that_nobody_has_heard_of(make: MakeHarness) -> None:
    settings = {f"default_{name}_quota": number for number, name in enumerate([*PLAIN, *PAIRS.values()], 5)}
    harness = make(**settings)
    expected = {name: settings[f"default_{PAIRS.get(name, name)}_quota"] for name in NAMES}
    before = harness.rows()
    for project in ("defaults", "mine", "x" * 300):
        shown = {"quota": {**expected, "project_id": project, "tenant_id": project}}
        assert harness.client.get(f"/quotas/{project}").json == shown
        assert harness.client.get(f"/quotas/{project}/default").json == shown
    assert harness.client.get("/quotas").json == {"quotas": [], "quotas_links": []}
    assert harness.rows() == before


def test_from_first_to_last_request(anywhere: Harness) -> None:
    assert put(anywhere, {"pool": 3, "member": "7", "l7rule": 0}) == limits(pool=3, member=7, l7rule=0)
    changed = limits(pool=3, member=7, l7rule=0, listener=MOST)
    assert put(anywhere, {"listener": MOST}) == changed
    assert put(anywhere, {}) == changed
    assert anywhere.client.get("/quotas/mine").json == {"quota": changed}
    assert anywhere.client.get("/quotas/mine/default").json == {"quota": limits()}
    assert anywhere.client.get("/quotas").json == {"quotas": [changed], "quotas_links": []}
    assert put(anywhere, {"pool": None, "l7rule": -1}) == limits(member=7, listener=MOST)
    for _twice in range(2):
        gone = anywhere.client.delete("/quotas/mine")
        assert (gone.status, gone.body) == (202, b"")
        assert anywhere.client.get("/quotas/mine").json == {"quota": limits()}
    assert anywhere.client.get("/quotas").json["quotas"] == [limits()]
    assert anywhere.client.delete("/quotas/never").status == 202


def test_a_default_is_never_frozen(make: MakeHarness) -> None:
    put(make(default_pool_quota=3), {"member": 1})
    assert make(default_pool_quota=4).client.get("/quotas").json["quotas"] == [limits(pool=4, member=1)]


def test_both_spellings(harness: Harness) -> None:
    for plain, separated in PAIRS.items():
        for sent, value in (({plain: 1}, 1), ({separated: 2}, 2), ({separated: 3, plain: 4}, 4)):
            assert put(harness, sent) == {**limits(), plain: value, separated: value}, sent
        assert put(harness, {separated: None}) == limits()


WRONG: list[tuple[Any, str]] = [
    (-2, "Value should be greater or equal to -1"),
    (MOST + 1, f"Value should be lower or equal to {MOST}"),
    ("many", "Value should be an integer"),
    ([], "Value should be an integer"),
    ({}, "Value should be an integer"),
]


def test_refused_requests(harness: Harness) -> None:
    for name in NAMES:
        for value, reason in WRONG:
            text = f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}"
            harness.refused("PUT", "/quotas/mine", {"quota": {name: value}}, 400, text)
        assert put(harness, {name: 2.9})[name] == 2
    for name in ("project_id", "tenant_id", "id", "in_use_pool", "zz"):
        text = f"Unknown attribute for argument quotas.quota: {name}"
        harness.refused("PUT", "/quotas/mine", {"quota": {name: 1}}, 400, text)
    harness.refused("PUT", "/quotas/mine", b"{", 400, "Request is not in valid JSON format")
    harness.refused("PUT", "/quotas/mine", b"", 400, 'Missing argument: "quotas"')
    for nothing in ({}, {"quota": None}):
        harness.refused("PUT", "/quotas/mine", nothing, 400, "No quota object supplied.")
    for method in ("PUT", "DELETE"):
        harness.refused(method, "/quotas", {"quota": {}}, 400, 'Missing argument: "project_id"')
        text = "maximum character requirement of 36"
        harness.refused(method, f"/quotas/{'x' * 37}", {"quota": {}}, 400, text)
    for path in ("/quotas", "/quotas/mine", "/quotas/mine/default"):
        assert harness.client.post(path, {"quota": {}}).status == 405
    assert harness.client.get("/quotas/mine/zz").status == 404


def test_lists(harness: Harness) -> None:
    made = {name: put(harness, {"pool": pool, "member": 5}, name) for name, pool in (("c", 1), ("a", 2), ("b", 1))}
    queries: list[tuple[str, str]] = [
        ("", "a b c"),
        ("project_id=b", "b"),
        ("pool=1", "b c"),
        ("pool=1&project_id=c", "c"),
        ("listener=-1", "a b c"),
        ("load_balancer=-1", "a b c"),
        ("member=6", ""),
        ("sort=pool:desc", "a b c"),
        ("sort=pool,project_id:desc", "c b a"),
        ("limit=2", "a b"),
        ("limit=2&marker=b", "c"),
        ("limit=1&marker=b&page_reverse=True", "a"),
        ("fields=pool", "a b c"),
    ]
    for query, names in queries:
        found = harness.client.request("GET", "/quotas", query=query).json["quotas"]
        assert found == [made[name] for name in names.split()], query
    (link,) = harness.client.get("/quotas", limit=2).json["quotas_links"]
    assert link["href"].endswith("?limit=2&marker=b")
    bad = "One or more arguments are either duplicate or invalid"
    for name in ("tenant_id", "loadbalancer", "in_use_pool", "id"):
        harness.refused("GET", "/quotas", None, 400, bad, query=f"{name}=1")


@pytest.mark.parametrize(
    "caller, query, answer",
    [
        ("admin", {}, ["mine", "theirs"]),
        ("admin", {"project_id": "theirs"}, ["theirs"]),
        ("mine", {}, ["mine"]),
        ("mine", {"project_id": "mine"}, ["mine"]),
        ("mine", {"project_id": "theirs"}, None),
        ("", {}, None),
    ],
)
def test_scope_of_lists(make: MakeHarness, caller: str, query: dict[str, str], answer: list[str] | None) -> None:
    for project in ("mine", "theirs"):
        put(make(), {"pool": 1}, project)
    harness = make(authenticator=HeaderAuth(), policy=OwnerPolicy())
    found = harness.client.request("GET", "/quotas", query=query, headers={"X-Project-Id": caller} if caller else {})
    assert found.status == (403 if answer is None else 200)
    assert answer is None or [each["project_id"] for each in found.json["quotas"]] == answer


def test_policy(make: MakeHarness) -> None:
    policy = Asked()
    harness = make(authenticator=HeaderAuth(), policy=policy)
    calls: list[tuple[str, str, str, str]] = [
        ("GET", "/quotas", "get_all", "mine"),
        ("GET", "/quotas/theirs", "get_one", "theirs"),
        ("GET", "/quotas/defaults", "get_one", "mine"),
        ("GET", "/quotas/theirs/default", "get_defaults", "theirs"),
        ("PUT", "/quotas/theirs", "put", "theirs"),
        ("DELETE", "/quotas/theirs", "delete", "theirs"),
    ]
    for method, path, action, target in calls:
        answer = harness.client.request(method, path, {"quota": {}}, headers={"X-Project-Id": "mine"})
        assert (answer.status, answer.fault) == (403, "Policy does not allow this request to be performed."), path
        assert policy.rules[-1] == (f"os_load-balancer_api:quota:{action}", target)
    assert harness.rows()["quotas"] == []


def _creations(harness: Harness) -> dict[str, Callable[[], tuple[str, Any]]]:
    """Kind to the path and body of another such object."""
    load_balancer = harness.load_balancer()["id"]
    pools = [harness.pool(loadbalancer_id=load_balancer)["id"] for _ in range(2)]
    harness.listener(load_balancer)
    harness.member(pools[0])
    harness.monitor(pools[0])
    pool = {"loadbalancer_id": load_balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    listener = {"loadbalancer_id": load_balancer, "protocol": "HTTP", "protocol_port": 81}
    monitor = {"pool_id": pools[1], "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3}
    member = {"member": {"address": "10.0.0.22", "protocol_port": 80}}
    return {
        "load_balancer": lambda: ("/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}),
        "listener": lambda: ("/listeners", {"listener": listener}),
        "pool": lambda: ("/pools", {"pool": pool}),
        "member": lambda: (f"/pools/{pools[0]}/members", member),
        "health_monitor": lambda: ("/healthmonitors", {"healthmonitor": monitor}),
    }


TITLES = {
    "load_balancer": "Load Balancer",
    "listener": "Listener",
    "pool": "Pool",
    "member": "Member",
    "health_monitor": "Health Monitor",
}


@pytest.mark.parametrize("kind, title", TITLES.items())
def test_enforcement(harness: Harness, kind: str, title: str) -> None:
    path, body = _creations(harness)[kind]()
    there = 2 if kind == "pool" else 1
    text = f"Quota has been met for resources: {title}"
    for limit in (0, there):
        put(harness, {kind: limit}, "default")
        assert harness.refused("POST", path, body, 403) == text
    put(harness, {kind: there + 1}, "default")
    assert harness.client.post(path, body).status == 201
    # Another project's limit is another one.
    assert put(harness, {kind: 0}, "other")[kind] == 0


def test_what_is_being_deleted_counts(harness: Harness) -> None:
    load_balancer = harness.load_balancer()["id"]
    put(harness, {"load_balancer": 1}, "default")
    for status in ("ERROR", "PENDING_DELETE"):
        harness.set_status("load_balancer", load_balancer, status)
        body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
        harness.refused("POST", "/loadbalancers", body, 403, "Load Balancer")
    harness.set_status("load_balancer", load_balancer, "DELETED")
    harness.load_balancer()


def test_a_graph_over_quota_leaves_nothing(harness: Harness) -> None:
    put(harness, {"member": 1}, "default")
    members = [{"address": f"10.0.0.{n}", "protocol_port": 80} for n in (1, 2)]
    pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, "pools": [pool]}}
    assert harness.refused("POST", "/loadbalancers", body, 403) == "Quota has been met for resources: Member"


def test_the_first_thing_counted_makes_the_row(harness: Harness) -> None:
    harness.load_balancer(project_id="mine")
    assert harness.client.get("/quotas").json["quotas"] == [limits()]
    with harness.database.read() as connection:
        (row,) = connection.execute(select(t.quotas)).all()
    assert [value for value in row if value is not None] == ["mine"]


class Deadlock(Exception):
    """What a driver says when another transaction won."""

    sqlstate = "40P01"


class ContendedNetworks(NoopNetworks):
    """Somebody else always wins."""

    def subnet(self, subnet_id: str) -> Subnet | None:
        raise OperationalError("UPDATE quotas", {}, Deadlock())


def test_a_busy_project(make: MakeHarness) -> None:
    text = "Project busy.  Unable to lock the project.  Please try again."
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}
    assert make(network=ContendedNetworks()).refused("POST", "/loadbalancers", body, 503) == text
