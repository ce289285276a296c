"""Who may call which operation (contract 80, sections 2 to 5; contract 00, sections 10.1 and 12)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from livia.api.auth import Testing
from livia.api.policy_files import FilePolicy
from livia.api.rules import OPERATIONS, READ, READ_QUOTA, WRITE, OperationRule
from livia.core.clock import SystemClock
from livia.services.settings import PolicySettings
from livia.store.engine import Database
from tests.api.amphorae import put, reported
from tests.api.client import Answer, Client
from tests.api.harness import SUBNET, UNKNOWN, Harness
from tests.api.offers import FLAVORS, ZONES
from tests.api.personas import OTHER, OWN, PERSONAS

DENIED = "Policy does not allow this request to be performed."
#: who may do what the kind of rule says, to objects of project "own"; everybody else nothing (contract 80, section 5.1)
READERS = {"admin", "member", "reader", "member and reader"}
WRITERS = {"admin", "member", "member and reader"}
ALLOWED = {
    "rule:load-balancer:read": READERS,
    "rule:load-balancer:read or rule:service": READERS | {"service"},
    "rule:load-balancer:write": WRITERS,
    "rule:load-balancer:admin": {"admin"},
    "rule:load-balancer:read-quota": READERS,
    "rule:load-balancer:write-quota": {"admin"},
}
#: listing is for everybody who may read anything: of their own project
LISTERS = READERS | {"member of another project"}

#: resources of operators, which belong to no project, and their item keys
OFFERED = {
    "flavor": "flavor",
    "flavor-profile": "flavorprofile",
    "availability-zone": "availability_zone",
    "availability-zone-profile": "availability_zone_profile",
}
#: bodies of what needs one; everything else has none
BODIES: dict[str, dict[str, Any]] = {
    "loadbalancer:post:vip_sg_ids": {"loadbalancer": {"vip_subnet_id": SUBNET, "vip_sg_ids": [UNKNOWN]}},
    "loadbalancer:put:vip_sg_ids": {"loadbalancer": {"vip_sg_ids": [UNKNOWN]}},
}


class Scene:
    """One of everything, in project "own", and a client for each persona."""

    def __init__(self, database: Database) -> None:
        self.harness = Harness(
            database, authenticator=Testing(), policy=FilePolicy(PolicySettings(), (), SystemClock())
        )
        admin = {"X-Roles": "admin", "X-Project-Id": OWN}
        self.harness.client = Client(self.harness.app, headers=admin)
        self.tree = self.harness.tree()
        self.unmonitored = self.harness.pool(loadbalancer_id=self.tree.load_balancer)["id"]
        self.harness.confirm(self.tree.load_balancer)
        self.zone_profile = ZONES.profile(self.harness)["id"]
        self.zone = ZONES.offer(self.harness, name="zone", availability_zone_profile_id=self.zone_profile)["name"]
        self.flavor_profile = FLAVORS.profile(self.harness)["id"]
        self.flavor = FLAVORS.offer(self.harness, name="flavor", flavor_profile_id=self.flavor_profile)["id"]
        self.amphora = UNKNOWN
        put(self.harness, self.amphora, self.tree.load_balancer, role="BACKUP", status="ALLOCATED")
        counters = ("bytes_in", "bytes_out", "active_connections", "total_connections", "request_errors")
        zero = dict.fromkeys(counters, 0)
        reported(self.harness, self.amphora, self.tree.load_balancer, self.tree.listener, **zero)
        self.clients = {name: Client(self.harness.app, headers=persona.headers) for name, persona in PERSONAS.items()}

    def body(self, rule: OperationRule) -> dict[str, Any] | None:
        """What an operation sends."""
        name = f"{rule.resource}:{rule.action}"
        if name in BODIES:
            return BODIES[name]
        if rule.resource in OFFERED:
            return self.offered(rule)
        item = "rule" if rule.resource == "l7rule" else rule.resource
        if rule.action == "post":
            body = self.tree.minimal(item)
            # Creating a load balancer asks about the project that the body names.
            given = {"loadbalancer": {"project_id": OWN}, "healthmonitor": {"pool_id": self.unmonitored}}
            return {item: body | given.get(item, {})}
        return {item: self.tree.least_change(item)} if rule.action == "put" else None

    def offered(self, rule: OperationRule) -> dict[str, Any] | None:
        """The same of what operators offer."""
        item = OFFERED[rule.resource]
        bodies: dict[str, dict[str, Any]] = {
            "flavor": {"name": "new", "flavor_profile_id": self.flavor_profile},
            "flavorprofile": {"name": "new", "provider_name": "amphora", "flavor_data": json.dumps(FLAVORS.good)},
            "availability_zone": {"name": "new", "availability_zone_profile_id": self.zone_profile},
            "availability_zone_profile": {
                "name": "new",
                "provider_name": "amphora",
                "availability_zone_data": json.dumps(ZONES.good),
            },
        }
        if rule.action == "put":
            return {item: {"enabled": True} if "profile" not in item else {"name": "other"}}
        return {item: bodies[item]} if rule.action == "post" else None

    def path(self, rule: OperationRule) -> str:
        """The address of an operation on the objects of the tree."""
        tree = self.tree
        return "/v2" + rule.path.format(
            loadbalancer_id=tree.load_balancer,
            listener_id=tree.listener,
            pool_id=tree.pool,
            member_id=tree.member,
            l7policy_id=tree.policy,
            l7rule_id=tree.rule,
            healthmonitor_id=tree.monitor,
            flavor_id=self.flavor,
            flavor_profile_id=self.flavor_profile,
            availability_zone_id=self.zone,
            availability_zone_profile_id=self.zone_profile,
            provider="amphora",
            project_id=OWN,
            amphora_id=self.amphora,
        )

    def call(self, persona: str, rule: OperationRule) -> Answer:
        """Do it, without effect."""
        client = self.clients[persona]
        query = "dry_run=true" if rule.method != "GET" else ""
        if (rule.resource, rule.action) == ("loadbalancer", "delete"):
            query += "&cascade=true"
        return client.request(rule.method, self.path(rule), self.body(rule), root="", query=query)


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


TENANT = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule", "quota")
PROVIDED = ("provider", "provider-flavor", "provider-availability-zone", "amphora")


def operations(*resources: str) -> Iterator[OperationRule]:
    """Those of some resources. Rules that are asked besides others are tested below."""
    for rule in OPERATIONS:
        if rule.resource in resources and ":" not in rule.action and rule.action != "get_all-global":
            yield rule


def test_every_operation_for_every_persona(scene: Scene) -> None:
    assert {rule.resource for rule in OPERATIONS} == {*TENANT, *OFFERED, *PROVIDED}
    for rule in operations(*TENANT, *OFFERED, *PROVIDED):
        allowed = ALLOWED[rule.check]
        if rule.resource not in TENANT or (rule.action == "get_all" and rule.resource not in ("member", "l7rule")):
            # These ask about the project of the caller itself.
            allowed = LISTERS if rule.check in (READ, READ_QUOTA) else allowed
        for persona in PERSONAS:
            answer = scene.call(persona, rule)
            where = (persona, rule.method, rule.path, answer.status, answer.body)
            if persona in allowed:
                # A profile in use and the amphora of a load balancer cannot be deleted: only those who may learn it.
                assert answer.status < 300 or (answer.status == 409 and rule.action == "delete"), where
            else:
                assert answer.status == 403, where
                assert answer.fault == DENIED, where


def test_denied_writes_change_nothing(scene: Scene) -> None:
    harness, tree = scene.harness, scene.tree
    before = harness.rows()
    for rule in operations(*TENANT, *OFFERED):
        if rule.method != "GET":
            path, body = scene.path(rule), scene.body(rule)
            answer = scene.clients["reader" if rule.check == WRITE else "member"].request(
                rule.method, path, body, root=""
            )
            assert answer.status == 403, (rule.name, answer.body)
    assert harness.rows() == before
    assert harness.statuses(tree.load_balancer)["load_balancer"] == "ACTIVE"


def test_batches_of_members_need_each_of_three_rules(database: Database, tmp_path: Any) -> None:
    scene = Scene(database)
    path = scene.tree.collections["member"]
    (tmp_path / "policy.yaml").write_text('"os_load-balancer_api:member:delete": "role:admin"\n')
    policy = FilePolicy(PolicySettings(), (tmp_path,), SystemClock())
    restricted = Harness(database, authenticator=Testing(), policy=policy)
    member = Client(restricted.app, headers=PERSONAS["member"].headers)
    body: dict[str, Any] = {"members": []}
    for query, status in (("", 403), ("additive_only=false", 403), ("additive_only=true", 202)):
        assert member.request("PUT", path, body, query=query).status == status, query
    assert scene.clients["member"].request("PUT", path, body).status == 202
    assert scene.clients["reader"].request("PUT", path, body, query="additive_only=true").status == 403


def test_security_groups_of_vips_have_rules_of_their_own(database: Database, tmp_path: Any) -> None:
    scene = Scene(database)
    (tmp_path / "policy.yaml").write_text(
        '"os_load-balancer_api:loadbalancer:post:vip_sg_ids": "role:admin"\n'
        '"os_load-balancer_api:loadbalancer:put:vip_sg_ids": "role:admin"\n'
    )
    policy = FilePolicy(PolicySettings(), (tmp_path,), SystemClock())
    client = Client(Harness(database, authenticator=Testing(), policy=policy).app, headers=PERSONAS["member"].headers)
    path = scene.tree.paths["loadbalancer"]
    created, changed = BODIES["loadbalancer:post:vip_sg_ids"], BODIES["loadbalancer:put:vip_sg_ids"]
    for method, where, body, status in (
        ("POST", "/loadbalancers", created, 403),
        ("PUT", path, changed, 403),
        ("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET}}, 201),
        ("PUT", path, {"loadbalancer": {"name": "x"}}, 200),
    ):
        assert client.request(method, where, body, query="dry_run=true").status == status, (method, body)


def test_lists_by_project(scene: Scene) -> None:
    harness = scene.harness
    theirs = harness.load_balancer(name="theirs", project_id=OTHER)["id"]
    ours = scene.tree.load_balancer
    rows: list[tuple[str, str, int, set[str]]] = [
        ("admin", "", 200, {ours, theirs}),
        ("admin", f"project_id={OTHER}", 200, {theirs}),
        ("admin", "project_id=nobody", 200, set()),
        ("reader", "", 200, {ours}),
        ("reader", f"project_id={OWN}", 200, {ours}),
        ("reader", f"project_id={OTHER}", 403, set()),
        ("member of another project", "", 200, {theirs}),
        ("no project", "", 403, set()),
        ("no project", f"project_id={OWN}", 403, set()),
        ("no role", "", 403, set()),
        ("service", "", 403, set()),
        ("domain admin", "", 403, set()),
        ("system admin", "", 403, set()),
    ]
    for persona, query, status, ids in rows:
        answer = scene.clients[persona].request("GET", "/loadbalancers", query=query)
        assert answer.status == status, (persona, query, answer.body)
        if status == 200:
            assert {each["id"] for each in answer.json["loadbalancers"]} == ids, (persona, query)


def test_existence_is_not_hidden(scene: Scene) -> None:
    """404 for what is not there, before 403 for what is another's (contract 80, section 2.2)."""
    stranger = scene.clients["member of another project"]
    for item, path in scene.tree.paths.items():
        gone = f"{path.rpartition('/')[0]}/{UNKNOWN}"
        for method, body in (("GET", None), ("PUT", {item: {}}), ("DELETE", None)):
            assert stranger.request(method, path, body).status == 403, (method, path)
            assert stranger.request(method, gone, body).status == 404, (method, gone)
    for path in ("status", "stats", "events"):
        assert stranger.get(f"{scene.tree.paths['loadbalancer']}/{path}").status == 403, path


def test_offers_are_not_looked_up_for_those_who_may_not(scene: Scene) -> None:
    """Policy before existence for flavors, availability zones and their profiles (contract 80, section 2)."""
    member, admin, nobody = (scene.clients[name] for name in ("member", "admin", "no role"))
    for rule in operations(*OFFERED):
        if "{" not in rule.path:
            continue
        path = f"/v2{rule.path.partition('{')[0]}{UNKNOWN}"
        body = scene.offered(rule)
        may = rule.check == READ
        assert member.request(rule.method, path, body, root="").status == (404 if may else 403), rule.name
        assert admin.request(rule.method, path, body, root="").status == 404, rule.name
        assert nobody.request(rule.method, path, body, root="").status == 403, rule.name


def test_the_order_of_checks(scene: Scene) -> None:
    """Types, then existence, then policy, then everything else (contract 00, section 6.4)."""
    stranger, tree = scene.clients["member of another project"], scene.tree
    port = {"loadbalancer_id": tree.load_balancer, "protocol": "HTTP", "protocol_port": 80}
    rows: list[tuple[str, str, Any, int]] = [
        ("POST", "/listeners", {"listener": port | {"protocol": "NONE"}}, 400),
        ("POST", "/listeners", {"listener": port | {"loadbalancer_id": UNKNOWN}}, 404),
        # The port is taken, which only those learn who may know.
        ("POST", "/listeners", {"listener": port}, 403),
        ("PUT", tree.paths["pool"], {"pool": {"lb_algorithm": "NONE"}}, 400),
        ("PUT", tree.paths["pool"], {"pool": {"session_persistence": {"type": "APP_COOKIE"}}}, 403),
        ("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": SUBNET, "project_id": OWN}}, 403),
        ("DELETE", tree.paths["loadbalancer"], None, 403),
    ]
    for method, path, body, status in rows:
        answer = stranger.request(method, path, body)
        assert answer.status == status, (method, path, body, answer.body)
    assert scene.harness.client.request("DELETE", tree.paths["loadbalancer"]).status == 400


def test_the_project_of_a_new_load_balancer(scene: Scene) -> None:
    client = scene.clients["member"]
    body: dict[str, Any] = {"vip_subnet_id": SUBNET}
    created = client.post("/loadbalancers", {"loadbalancer": body})
    assert created.json["loadbalancer"]["project_id"] == OWN
    refused = scene.clients["no project"].post("/loadbalancers", {"loadbalancer": body})
    assert (refused.status, refused.fault[:56]) == (400, "Validation failure: Missing project ID in request where ")
    admin = scene.clients["admin"].post("/loadbalancers", {"loadbalancer": body | {"project_id": OTHER}})
    assert admin.json["loadbalancer"]["project_id"] == OTHER


def test_child_objects_are_their_load_balancers(scene: Scene) -> None:
    """A project in the body of a child is ignored (contract 00, section 11)."""
    body = {"loadbalancer_id": scene.tree.load_balancer, "protocol": "HTTP", "protocol_port": 8081, "project_id": OTHER}
    created = scene.clients["member"].post("/listeners", {"listener": body})
    assert (created.status, created.json["listener"]["project_id"]) == (201, OWN)
    assert scene.clients["member of another project"].post("/listeners", {"listener": body}).status == 403
