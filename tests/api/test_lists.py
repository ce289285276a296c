"""Filters, tags, order, pages and fields (contract 00, sections 9 and 10)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import falcon
import pytest
from sqlalchemy import update

from livia.services.context import Context
from livia.store import tables as t
from tests.api.conftest import MakeHarness
from tests.api.harness import UNKNOWN, Harness, Tree, list_key

BAD = "One or more arguments are either duplicate or invalid"

#: resource and the filters that must find the tree's object
FOUND: dict[str, str] = {
    "loadbalancer": "id name description provisioning_status operating_status admin_state_up project_id provider "
    "vip_address vip_port_id vip_subnet_id vip_network_id vip_vnic_type created_at updated_at",
    "listener": "id name description provisioning_status operating_status admin_state_up protocol protocol_port "
    "connection_limit default_pool_id client_authentication project_id timeout_client_data timeout_member_connect "
    "timeout_member_data timeout_tcp_inspect hsts_include_subdomains hsts_preload created_at updated_at",
    "pool": "id name description provisioning_status operating_status admin_state_up protocol lb_algorithm project_id "
    "healthmonitor_id tls_enabled created_at updated_at",
    "member": "id name provisioning_status operating_status admin_state_up address protocol_port weight backup "
    "project_id vnic_type created_at updated_at",
    "healthmonitor": "id name type delay timeout max_retries max_retries_down http_method url_path expected_codes "
    "admin_state_up project_id provisioning_status operating_status created_at updated_at",
    "l7policy": "id name description provisioning_status operating_status admin_state_up project_id action listener_id "
    "redirect_url redirect_http_code position created_at updated_at",
    "rule": "id type compare_type key value invert admin_state_up project_id provisioning_status operating_status "
    "created_at updated_at",
}


@pytest.mark.parametrize("item, name", [(item, name) for item, names in FOUND.items() for name in names.split()])
def test_filters_find(harness: Harness, tree: Tree, item: str, name: str) -> None:
    begin = {"key": "one"} if item == "rule" else {"name": "one"}
    harness.accepted(harness.client.put(tree.paths[item], {item: begin}), 200)
    shown = harness.client.get(tree.paths[item]).json[item]
    if name == "description":
        harness.accepted(harness.client.put(tree.paths[item], {item: {name: "d"}}), 200)
        shown[name] = "d"
    path = tree.collections[item]
    found = harness.client.get(path, **{name: shown[name]}).json[list_key(item)]
    assert [each["id"] for each in found] == [shown["id"]]
    other = {True: "false", False: "true"}.get(shown[name], "424242")
    assert harness.client.get(path, **{name: other}).json[list_key(item)] == []


#: resource and names that are no filters
UNKNOWN_FILTERS = {
    "loadbalancer": ["tenant_id", "listeners", "pools", "additional_vips", "amphorae", "nope"],
    "listener": ["tenant_id", "loadbalancers", "sni_container_refs", "l7policies", "allowed_cidrs", "default_pool"],
    "pool": ["tenant_id", "listener_id", "health_monitor_id", "loadbalancers", "session_persistence", "members"],
    "member": ["tenant_id", "request_sriov", "description"],
    "healthmonitor": ["tenant_id", "pools", "description"],
    "l7policy": ["tenant_id", "rules", "loadbalancer_id", "redirect_pool"],
    "rule": ["tenant_id", "name", "position"],
}


@pytest.mark.parametrize("item, name", [(item, name) for item, names in UNKNOWN_FILTERS.items() for name in names])
def test_unknown_filters(harness: Harness, tree: Tree, item: str, name: str) -> None:
    assert harness.refused("GET", tree.collections[item], None, 400, query=f"{name}=x") == BAD


def test_the_same_filter_twice(harness: Harness) -> None:
    assert harness.refused("GET", "/pools", None, 400, query="name=a&name=b") == BAD


@pytest.mark.parametrize(
    "path, query",
    [
        ("/loadbalancers", {"vip_sg_ids": UNKNOWN}),
        ("/listeners", {"insert_headers": "x"}),
        ("/listeners", {"alpn_protocols": "h2"}),
        ("/listeners", {"protocol_port": "many"}),
        ("/listeners", {"protocol_port": str(2**70)}),
        ("/listeners", {"name": "a\x00"}),
        ("/healthmonitors", {"delay": "1.5.1"}),
        ("/healthmonitors", {"http_version": "x"}),
        ("/healthmonitors", {"http_version": "nan"}),
    ],
)
def test_filters_that_match_nothing(harness: Harness, tree: Tree, path: str, query: dict[str, str]) -> None:
    answer = harness.client.get(path, **query)
    assert answer.json == {path[1:]: [], f"{path[1:]}_links": []}


@pytest.mark.parametrize("name", ["loadbalancer_id", "load_balancer_id"])
@pytest.mark.parametrize("collection", ["listeners", "pools"])
def test_children_by_load_balancer(harness: Harness, tree: Tree, collection: str, name: str) -> None:
    assert len(harness.client.get(f"/{collection}", **{name: tree.load_balancer}).json[collection]) == 1
    assert harness.client.get(f"/{collection}", **{name: UNKNOWN}).json[collection] == []


def test_monitors_by_version(anywhere: Harness) -> None:
    tree = anywhere.tree()
    for version in (1.0, 1.1):
        body = {"healthmonitor": {"http_version": version}}
        anywhere.accepted(anywhere.client.put(tree.paths["healthmonitor"], body), 200)
        for asked in ("1.0", "1.1"):
            found = anywhere.client.get("/healthmonitors", http_version=asked).json["healthmonitors"]
            assert len(found) == (float(asked) == version), (version, asked)
        after = anywhere.client.get("/healthmonitors", sort="http_version", marker=tree.monitor)
        assert after.json["healthmonitors"] == [], version


def test_monitors_by_pool_and_members_by_address(harness: Harness, tree: Tree) -> None:
    assert len(harness.client.get("/healthmonitors", pool_id=tree.pool).json["healthmonitors"]) == 1
    for name in ("address", "ip_address"):
        found = harness.client.get(tree.collections["member"], **{name: "10.0.0.21"}, protocol_port=80)
        assert len(found.json["members"]) == 1


def test_members_of_another_pool_are_not_here(harness: Harness, tree: Tree) -> None:
    for pool_id, count in ((tree.pool, 1), (UNKNOWN, 0), ("x", 0)):
        assert len(harness.client.get(tree.collections["member"], pool_id=pool_id).json["members"]) == count, pool_id
    harness.refused("GET", f"/pools/{UNKNOWN}/members", None, 404, "Pool", query=f"pool_id={tree.pool}")


@pytest.mark.parametrize("value, truth", [("True", True), ("1", True), ("ON", True), ("junk", False), ("", False)])
def test_boolean_filters(harness: Harness, tree: Tree, value: str, truth: bool) -> None:
    assert bool(harness.client.get("/pools", admin_state_up=value).json["pools"]) is truth


def test_a_missing_name_equals_nothing(harness: Harness, tree: Tree) -> None:
    with harness.database.write() as connection:
        connection.execute(update(t.pool).values(name=None))
    assert harness.client.get(tree.paths["pool"]).json["pool"]["name"] == ""
    assert harness.client.get("/pools", name="").json["pools"] == []


TAGGED = {"ab": ["a", "b"], "a": ["a"], "c": ["c"], "none": []}
TAG_QUERIES = [
    ("tags=a", "a ab"),
    ("tags=a,b", "ab"),
    ("tags=a&tags=b", "ab"),
    ("tags-any=b,c", "ab c"),
    ("not-tags=a,b", "a c none"),
    ("not-tags-any=a,b", "c none"),
    ("tags=a&not-tags=b", "a"),
    ("tags-any=a,c&not-tags-any=b", "a c"),
    ("tags=a%00", ""),
]


@pytest.mark.parametrize("query, names", TAG_QUERIES)
def test_tag_filters(anywhere: Harness, query: str, names: str) -> None:
    for name, tags in TAGGED.items():
        anywhere.load_balancer(name=name, tags=tags)
    answer = anywhere.client.request("GET", "/loadbalancers", query=query)
    assert sorted(each["name"] for each in answer.json["loadbalancers"]) == names.split()


def _fill(harness: Harness) -> list[str]:
    """Five load balancers; their ids in creation order."""
    rows = [("b", "x"), ("a", "x"), ("c", "y"), ("a", "y"), ("b", "z")]
    return [harness.load_balancer(name=name, description=text)["id"] for name, text in rows]


ORDERS = [
    ("", [0, 1, 2, 3, 4]),
    ("sort=created_at:desc", [4, 3, 2, 1, 0]),
    ("sort=name", [1, 3, 0, 4, 2]),
    ("sort=name:DESC", [2, 0, 4, 1, 3]),
    ("sort=name,created_at:desc", [3, 1, 4, 0, 2]),
    ("sort=name&sort=created_at:desc", [3, 1, 4, 0, 2]),
    ("sort_key=name&sort_dir=desc", [2, 0, 4, 1, 3]),
    ("sort_key=description,name&sort_dir=desc", [4, 3, 2, 1, 0]),
    ("sort_key=name", [1, 3, 0, 4, 2]),
    ("sort_dir=desc", [0, 1, 2, 3, 4]),
    ("sort=updated_at,vip_qos_policy_id", [0, 1, 2, 3, 4]),
]


@pytest.mark.parametrize("query, order", ORDERS)
def test_order_and_pages(anywhere: Harness, query: str, order: list[int]) -> None:
    ids = _fill(anywhere)
    expected = [ids[index] for index in order]
    whole = anywhere.client.request("GET", "/loadbalancers", query=query).json
    assert [each["id"] for each in whole["loadbalancers"]] == expected
    forward = _walk(anywhere, f"/loadbalancers?limit=2&{query}", "next")
    assert forward == [expected[:2], expected[2:4], expected[4:]]
    last = f"/loadbalancers?limit=2&marker={expected[4]}&page_reverse=True&{query}"
    assert _walk(anywhere, last, "previous") == [expected[2:4], expected[:2], []]


def _walk(harness: Harness, path: str, rel: str) -> list[list[str]]:
    """The ids of each page, following the links of one direction."""
    pages = []
    while True:
        answer = harness.client.request("GET", path).json
        pages.append([each["id"] for each in answer["loadbalancers"]])
        links = {link["rel"]: link["href"] for link in answer["loadbalancers_links"]}
        assert list(links) == [each for each in ("previous", "next") if each in links]
        if rel not in links:
            return pages
        assert links[rel].startswith("http://lb.example.net:9876/v2/lbaas/loadbalancers?")
        path = links[rel].removeprefix("http://lb.example.net:9876/v2/lbaas")


def test_links_keep_the_question(harness: Harness) -> None:
    _fill(harness)
    query = "limit=1&name=a&fields=id&fields=name&sort=name:desc&project_id=default&tags-any="
    answer = harness.client.request("GET", "/loadbalancers", query=query.replace("&tags-any=", "")).json
    (link,) = answer["loadbalancers_links"]
    kept = parse_qsl(urlsplit(link["href"]).query)
    assert link["rel"] == "next"
    assert kept == [
        ("limit", "1"),
        ("name", "a"),
        ("fields", "id"),
        ("fields", "name"),
        ("sort", "name:desc"),
        ("project_id", "default"),
        ("marker", answer["loadbalancers"][0]["id"]),
    ]


@pytest.mark.parametrize(
    "maximum, query, count, following",
    [
        ("1000", "", 5, False),
        ("1000", "limit=5", 5, True),
        ("1000", "limit=0", 5, False),
        ("1000", "limit=-3", 5, False),
        ("1000", "limit=infinite", 5, False),
        ("3", "", 3, True),
        ("3", "limit=4", 3, True),
        ("3", "limit=infinite", 5, False),
        ("infinite", "", 5, False),
        ("-1", "limit=2", 2, True),
    ],
)
def test_limits(make: MakeHarness, maximum: str, query: str, count: int, following: bool) -> None:
    harness = make(pagination_max_limit=maximum)
    _fill(harness)
    answer = harness.client.request("GET", "/loadbalancers", query=query).json
    assert len(answer["loadbalancers"]) == count
    assert [link["rel"] for link in answer["loadbalancers_links"]] == ["next"] * following


def test_links_at_a_configured_address(make: MakeHarness) -> None:
    harness = make(api_base_uri="https://lb.example.org/x/")
    harness.load_balancer()
    (link,) = harness.client.get("/loadbalancers", limit=1).json["loadbalancers_links"]
    assert link["href"].startswith("https://lb.example.org/x/v2/lbaas/loadbalancers?limit=1&marker=")


def test_links_behind_a_proxy(make: MakeHarness) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "lb.example.org"}
    for trusted, start in ((True, "https://lb.example.org/v2"), (False, "http://lb.example.net:9876/v2")):
        harness = make(enable_proxy_headers_parsing=trusted)
        harness.load_balancer()
        answer = harness.client.request("GET", "/loadbalancers?limit=1", headers=headers).json
        assert answer["loadbalancers_links"][0]["href"].startswith(start)


@pytest.mark.parametrize(
    "query, fault",
    [
        ("limit=", "Supplied pagination limit '' is not valid."),
        ("limit=x", "Supplied pagination limit 'x' is not valid."),
        ("limit=1.5", "Supplied pagination limit '1.5' is not valid."),
        (f"marker={UNKNOWN}", f"Supplied pagination marker '{UNKNOWN}' is not valid."),
        ("marker=%00", "Supplied pagination marker"),
        ("sort=nope", "Supplied sort key 'nope' is not valid."),
        ("sort=tenant_id", "Supplied sort key 'tenant_id' is not valid."),
        ("sort=listeners", "Supplied sort key 'listeners' is not valid."),
        ("sort=tags", "Supplied sort key 'tags' is not valid."),
        ("sort=name:up", "Supplied sort direction 'up' is not valid."),
        ("sort=name:", "Supplied sort direction '' is not valid."),
        ("sort=a:b:c", "is not valid."),
        ("sort_key=name&sort_dir=up", "Supplied sort direction 'up' is not valid."),
        ("sort_key=name&sort_key=nope", "Supplied sort key 'nope' is not valid."),
        ("sort=", "Supplied sort key '' is not valid."),
    ],
)
def test_wrong_order_and_pages(anywhere: Harness, query: str, fault: str) -> None:
    anywhere.refused("GET", "/loadbalancers", None, 400, fault, query=query)


def test_a_listener_is_not_sorted_by_its_load_balancer(harness: Harness) -> None:
    harness.refused("GET", "/listeners", None, 400, "Supplied sort key", query="sort=loadbalancer_id")


def test_every_scalar_attribute_sorts(anywhere: Harness) -> None:
    tree = anywhere.tree()
    anywhere.pool(loadbalancer_id=tree.load_balancer, name="without monitor")
    for item, names in FOUND.items():
        for name in names.split():
            answer = anywhere.client.get(tree.collections[item], sort=name)
            assert answer.status == 200, (item, name)
    assert len(anywhere.client.get("/pools", sort="healthmonitor_id").json["pools"]) == 2
    assert anywhere.client.get("/healthmonitors", sort="pool_id").status == 200


@pytest.mark.parametrize("query", ["fields=id&fields=name", "fields=id,name", "fields=id&fields=name&fields=nope"])
def test_fields(harness: Harness, tree: Tree, query: str) -> None:
    for item, path in tree.paths.items():
        shown = harness.client.request("GET", path, query=query).json[item]
        assert set(shown) == ({"id", "name"} if item != "rule" else {"id"})
        listed = harness.client.request("GET", tree.collections[item], query=query).json
        assert listed[list_key(item)] == [shown]


def test_fields_of_projects_stay_apart(harness: Harness, tree: Tree) -> None:
    assert harness.client.get(tree.paths["pool"], fields="project_id").json == {"pool": {"project_id": "default"}}
    assert harness.client.get(tree.paths["pool"], fields="nope").json == {"pool": {}}


def test_lists_follow_the_database_itself(harness: Harness, tree: Tree) -> None:
    harness.client.get("/pools")
    with harness.database.write() as connection:
        connection.execute(update(t.pool).values(name="by hand"))
    assert harness.client.get("/pools").json["pools"][0]["name"] == "by hand"


class HeaderAuth:
    """Callers are what their headers say; nobody is admin unless named so."""

    def authenticate(self, request: falcon.Request, request_id: str) -> Context:
        project = request.get_header("X-Project-Id")
        return Context(project_id=project, is_admin=project == "admin", request_id=request_id)


class OwnerPolicy:
    """Owners may do everything to what is theirs, admins to all."""

    def allows(self, context: Context, rule: str, project_id: str | None) -> bool:
        if rule.endswith(("get_all-global", "put_failover")):
            return context.is_admin
        return context.is_admin or (project_id is not None and context.project_id == project_id)


@pytest.mark.parametrize(
    "caller, query, answer",
    [
        ("admin", {}, ["mine", "theirs"]),
        ("admin", {"project_id": "theirs"}, ["theirs"]),
        ("mine", {}, ["mine"]),
        ("mine", {"project_id": "mine"}, ["mine"]),
        ("mine", {"project_id": "theirs"}, 403),
        ("nobody", {}, []),
        ("", {}, 403),
    ],
)
def test_scope_of_lists(make: MakeHarness, caller: str, query: dict[str, str], answer: Any) -> None:
    everyone = make()
    for project in ("mine", "theirs"):
        everyone.load_balancer(name=project, project_id=project)
    harness = make(authenticator=HeaderAuth(), policy=OwnerPolicy())
    headers = {"X-Project-Id": caller} if caller else {}
    found = harness.client.request("GET", "/loadbalancers", query=query, headers=headers)
    if answer == 403:
        assert found.status == 403
        assert found.fault == "Policy does not allow this request to be performed."
    else:
        assert [each["name"] for each in found.json["loadbalancers"]] == answer


def test_foreign_objects_are_403(make: MakeHarness) -> None:
    tree = make().tree()
    harness = make(authenticator=HeaderAuth(), policy=OwnerPolicy())
    before = harness.rows()
    headers = {"X-Project-Id": "other"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        (method, path, {item: tree.least_change(item)})
        for item, path in tree.paths.items()
        for method in ("GET", "PUT", "DELETE")
    ]
    calls += [
        ("POST", tree.collections[item], {item: tree.minimal(item)}) for item in tree.paths if item != "loadbalancer"
    ]
    calls += [("PUT", tree.collections["member"], {"members": []}), ("GET", tree.collections["member"], {})]
    calls += [("GET", tree.collections["rule"], {})]
    calls += [("GET", f"{tree.paths['loadbalancer']}/{part}", {}) for part in ("status", "stats", "events")]
    calls += [("PUT", f"{tree.paths['loadbalancer']}/failover", {}), ("GET", f"{tree.paths['listener']}/stats", {})]
    for method, path, body in calls:
        answer = harness.client.request(method, path, body, headers=headers)
        assert (answer.status, answer.fault) == (403, "Policy does not allow this request to be performed."), path
    assert harness.rows() == before
