"""Every attribute of every resource: accepted, defaults, limits, null, wrong type (contract 10-40, section 2)."""

from typing import Any

import pytest

from tests.api.harness import Harness, Tree, list_key

KEYS = {
    "loadbalancer": "id name description admin_state_up project_id tenant_id vip_subnet_id vip_network_id vip_port_id "
    "vip_address vip_qos_policy_id vip_sg_ids vip_vnic_type additional_vips provider flavor_id availability_zone tags "
    "listeners pools provisioning_status operating_status created_at updated_at",
    "listener": "id name description admin_state_up loadbalancers protocol protocol_port connection_limit "
    "default_pool_id l7policies default_tls_container_ref sni_container_refs insert_headers timeout_client_data "
    "timeout_member_connect timeout_member_data timeout_tcp_inspect tags client_ca_tls_container_ref "
    "client_authentication client_crl_container_ref allowed_cidrs tls_ciphers tls_versions alpn_protocols hsts_max_age "
    "hsts_include_subdomains hsts_preload provisioning_status operating_status project_id tenant_id created_at "
    "updated_at",
    "pool": "id name description admin_state_up protocol lb_algorithm session_persistence tags tls_enabled "
    "tls_container_ref ca_tls_container_ref crl_container_ref tls_ciphers tls_versions alpn_protocols loadbalancers "
    "listeners members healthmonitor_id provisioning_status operating_status project_id tenant_id created_at "
    "updated_at",
    "member": "id name admin_state_up address protocol_port weight backup subnet_id monitor_address monitor_port tags "
    "vnic_type provisioning_status operating_status project_id tenant_id created_at updated_at",
    "healthmonitor": "id name type delay timeout max_retries max_retries_down http_method url_path expected_codes "
    "admin_state_up project_id tenant_id pools provisioning_status operating_status created_at updated_at tags "
    "http_version domain_name",
    "l7policy": "id name description provisioning_status operating_status admin_state_up project_id tenant_id action "
    "listener_id redirect_pool_id redirect_url redirect_prefix redirect_http_code position rules created_at updated_at "
    "tags",
    "rule": "id type compare_type key value invert admin_state_up provisioning_status operating_status created_at "
    "updated_at project_id tenant_id tags",
}
ITEMS = tuple(KEYS)
#: what has a name, and what has a description
NAMED = tuple(item for item in ITEMS if item != "rule")
DESCRIBED = ("loadbalancer", "listener", "pool", "l7policy")


@pytest.mark.parametrize("item", ITEMS)
def test_show_and_list_have_exactly_the_contracts_keys(harness: Harness, tree: Tree, item: str) -> None:
    shown = harness.client.get(tree.paths[item]).json[item]
    assert sorted(shown) == sorted(KEYS[item].split())
    listed = harness.client.get(tree.collections[item]).json
    assert listed == {list_key(item): [shown], f"{list_key(item)}_links": []}
    assert shown["project_id"] == shown["tenant_id"] == "default"


DEFAULTS: dict[str, dict[str, Any]] = {
    "loadbalancer": {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "vip_address": "198.51.100.1",
        "vip_qos_policy_id": None,
        "vip_sg_ids": [],
        "vip_vnic_type": "normal",
        "additional_vips": [],
        "provider": "amphora",
        "flavor_id": None,
        "availability_zone": None,
        "tags": [],
        "listeners": [],
        "pools": [],
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "listener": {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "connection_limit": -1,
        "default_pool_id": None,
        "l7policies": [],
        "default_tls_container_ref": None,
        "sni_container_refs": [],
        "insert_headers": {},
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "tags": [],
        "client_ca_tls_container_ref": None,
        "client_authentication": "NONE",
        "client_crl_container_ref": None,
        "allowed_cidrs": None,
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
        "hsts_max_age": None,
        "hsts_include_subdomains": False,
        "hsts_preload": False,
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "pool": {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "session_persistence": None,
        "tags": [],
        "tls_enabled": False,
        "tls_container_ref": None,
        "ca_tls_container_ref": None,
        "crl_container_ref": None,
        "tls_ciphers": None,
        "tls_versions": None,
        "alpn_protocols": None,
        "listeners": [],
        "members": [],
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "member": {
        "name": "",
        "admin_state_up": True,
        "weight": 1,
        "backup": False,
        "subnet_id": None,
        "monitor_address": None,
        "monitor_port": None,
        "tags": [],
        "vnic_type": "normal",
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "healthmonitor": {
        "name": "",
        "admin_state_up": True,
        "max_retries_down": 3,
        "http_method": "GET",
        "url_path": "/",
        "expected_codes": "200",
        "http_version": None,
        "domain_name": None,
        "tags": [],
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "l7policy": {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "redirect_pool_id": None,
        "redirect_url": None,
        "redirect_prefix": None,
        "redirect_http_code": None,
        "position": 2,
        "rules": [],
        "tags": [],
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
    "rule": {
        "key": None,
        "invert": False,
        "admin_state_up": True,
        "tags": [],
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    },
}


@pytest.mark.parametrize("item", ITEMS)
def test_omitted_attributes_get_their_defaults(harness: Harness, tree: Tree, item: str) -> None:
    make_room(harness, tree, item)
    created = harness.accepted(harness.client.post(tree.collections[item], {item: tree.minimal(item)}))
    assert {name: created[name] for name in DEFAULTS[item]} == DEFAULTS[item]


A, B = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
#: resource, attribute, what is sent, what is shown; on POST and, where PUT takes it, on PUT
ACCEPTED: list[tuple[str, str, Any, Any]] = [
    *((item, "name", "x" * 255, "x" * 255) for item in NAMED),
    *((item, "name", "\U0001f980 ünïcode", "\U0001f980 ünïcode") for item in NAMED),
    *((item, "description", "d", "d") for item in DESCRIBED),
    *((item, "admin_state_up", sent, shown) for item in ITEMS for sent, shown in ((False, False), ("yes", True))),
    *(
        (item, "admin_state_up", sent, shown)
        for item in ITEMS
        for sent, shown in ((0, False), ("off", False), (7, True))
    ),
    *((item, "tags", ["b", "a", "b", ""], ["", "a", "b"]) for item in ITEMS),
    *((item, "tags", [f"t{n:03}" for n in range(100)], [f"t{n:03}" for n in range(100)]) for item in ITEMS),
    ("loadbalancer", "vip_address", "2001:db8:0:0:0:0:0:1", "2001:db8:0:0:0:0:0:1"),
    ("loadbalancer", "vip_qos_policy_id", A, A),
    ("loadbalancer", "vip_sg_ids", [B, A, A], [A, B]),
    ("loadbalancer", "provider", "octavia", "octavia"),
    ("listener", "protocol_port", 1, 1),
    ("listener", "protocol_port", "8081", 8081),
    ("listener", "protocol_port", 65535, 65535),
    ("listener", "protocol_port", 81.9, 81),
    ("listener", "connection_limit", 0, 0),
    ("listener", "connection_limit", 2**40, 2**40),
    ("listener", "insert_headers", {"X-Forwarded-For": "true"}, {"X-Forwarded-For": "true"}),
    ("listener", "timeout_client_data", 0, 0),
    ("listener", "timeout_member_connect", 2073600000, 2073600000),
    ("listener", "timeout_member_data", 7, 7),
    ("listener", "timeout_tcp_inspect", 9, 9),
    ("listener", "allowed_cidrs", ["10.1.2.3/8", "192.0.2.4", "10.0.0.0/8"], ["10.0.0.0/8", "192.0.2.4/32"]),
    ("listener", "allowed_cidrs", [], None),
    ("listener", "tls_ciphers", "ECDHE+AESGCM:!aNULL", "ECDHE+AESGCM:!aNULL"),
    ("listener", "tls_versions", ["TLSv1.2", "TLSv1.3"], ["TLSv1.2", "TLSv1.3"]),
    ("listener", "alpn_protocols", ["h2", "http/1.1"], ["h2", "http/1.1"]),
    ("pool", "lb_algorithm", "LEAST_CONNECTIONS", "LEAST_CONNECTIONS"),
    ("pool", "lb_algorithm", "SOURCE_IP", "SOURCE_IP"),
    ("pool", "tls_ciphers", "AES128", "AES128"),
    ("pool", "tls_versions", ["TLSv1.3"], ["TLSv1.3"]),
    ("pool", "alpn_protocols", ["h2"], ["h2"]),
    ("pool", "protocol", "PROXYV2", "PROXYV2"),
    ("member", "weight", 0, 0),
    ("member", "weight", 256, 256),
    ("member", "backup", True, True),
    ("member", "subnet_id", A, A),
    ("member", "monitor_address", "10.9.9.9", "10.9.9.9"),
    ("member", "monitor_port", 65535, 65535),
    ("member", "address", "2001:db8:0:0:0:0:0:1", "2001:db8:0:0:0:0:0:1"),
    ("healthmonitor", "delay", 0, 0),
    ("healthmonitor", "timeout", 0, 0),
    ("healthmonitor", "max_retries", 10, 10),
    ("healthmonitor", "max_retries_down", 1, 1),
    ("healthmonitor", "http_method", "PATCH", "PATCH"),
    ("healthmonitor", "url_path", "/a?b=c#d", "/a?b=c#d"),
    *(("healthmonitor", "expected_codes", codes, codes) for codes in ("200, 201,204", "200-204", "204-200", "999")),
    ("healthmonitor", "http_version", "1.1", 1.1),
    ("healthmonitor", "http_version", 1, 1.0),
    ("rule", "type", "HOST_NAME", "HOST_NAME"),
    ("rule", "compare_type", "REGEX", "REGEX"),
    ("rule", "value", "x" * 255, "x" * 255),
    ("rule", "value", '"a b\t"', '"a b\t"'),
    ("rule", "key", "without effect", "without effect"),
    ("rule", "invert", True, True),
    ("rule", "invert", "yes", True),
]
CREATE_ONLY = {"vip_address", "provider", "protocol_port", "protocol", "address", "subnet_id"}


@pytest.mark.parametrize("item, name, sent, shown", ACCEPTED)
def test_create_accepts(harness: Harness, tree: Tree, item: str, name: str, sent: Any, shown: Any) -> None:
    make_room(harness, tree, item)
    body = {item: {**tree.minimal(item), name: sent}}
    created = harness.accepted(harness.client.post(tree.collections[item], body))
    assert created[name] == shown
    assert harness.client.get(f"{tree.collections[item]}/{created['id']}").json == {item: created}


@pytest.mark.parametrize("item, name, sent, shown", [row for row in ACCEPTED if row[1] not in CREATE_ONLY])
def test_update_accepts(harness: Harness, tree: Tree, item: str, name: str, sent: Any, shown: Any) -> None:
    before = harness.client.get(tree.paths[item]).json[item]
    updated = harness.accepted(harness.client.put(tree.paths[item], {item: {name: sent}}), 200)
    assert updated[name] == shown
    assert updated["provisioning_status"] == "PENDING_UPDATE"
    assert updated["updated_at"] is not None
    changed = {key for key in updated if updated[key] != before[key]}
    assert changed <= {name, "provisioning_status", "updated_at"}


MANDATORY_NAMES = {
    "listener": ("loadbalancer_id", "protocol", "protocol_port"),
    "pool": ("protocol", "lb_algorithm"),
    "member": ("address", "protocol_port"),
    "healthmonitor": ("pool_id", "type", "delay", "timeout", "max_retries"),
    "l7policy": ("listener_id", "action"),
    "rule": ("type", "compare_type", "value"),
}


@pytest.mark.parametrize("item, name", [(item, name) for item, names in MANDATORY_NAMES.items() for name in names])
def test_mandatory_attributes(harness: Harness, tree: Tree, item: str, name: str) -> None:
    body = {key: value for key, value in tree.minimal(item).items() if key != name}
    expected = f"Invalid input for field/attribute {name}. Value: 'None'. Mandatory field missing."
    assert harness.refused("POST", tree.collections[item], {item: body}, 400) == expected


IMMUTABLE = {
    "loadbalancer": ("vip_subnet_id", "vip_address", "provider", "flavor_id", "project_id", "id", "listeners"),
    "listener": ("protocol", "protocol_port", "loadbalancer_id", "project_id", "default_pool", "l7policies"),
    "pool": ("protocol", "loadbalancer_id", "listener_id", "project_id", "members", "healthmonitor", "enabled"),
    "member": ("address", "protocol_port", "subnet_id", "request_sriov", "project_id", "vnic_type"),
    "healthmonitor": ("pool_id", "type", "project_id", "description"),
    "l7policy": ("listener_id", "rules", "redirect_pool", "project_id"),
    "rule": ("l7policy_id", "name", "position", "project_id"),
}
ARGUMENTS = {
    "loadbalancer": "load_balancer.loadbalancer",
    "listener": "listener_.listener",
    "pool": "pool_.pool",
    "member": "member_.member",
    "healthmonitor": "health_monitor_.healthmonitor",
    "l7policy": "l7policy_.l7policy",
    "rule": "rule_.rule",
}
#: what differs in a PUT
UPDATE_ARGUMENTS = {**ARGUMENTS, "rule": "l7rule_.rule"}


@pytest.mark.parametrize("item, name", [(item, name) for item, names in IMMUTABLE.items() for name in names])
def test_update_knows_no_immutable_attribute(harness: Harness, tree: Tree, item: str, name: str) -> None:
    fault = harness.refused("PUT", tree.paths[item], {item: {name: None}}, 400)
    assert fault == f"Unknown attribute for argument {UPDATE_ARGUMENTS[item]}: {name}"


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_unknown_attributes(harness: Harness, tree: Tree, item: str, method: str) -> None:
    path = tree.collections[item] if method == "POST" else tree.paths[item]
    body = {item: {**(tree.minimal(item) if method == "POST" else {}), "zz": 1, "id": 2, "aa": 3}}
    fault = harness.refused(method, path, body, 400)
    arguments = ARGUMENTS if method == "POST" else UPDATE_ARGUMENTS
    assert fault == f"Unknown attributes for argument {arguments[item]}: aa, id, zz"


@pytest.mark.parametrize("item", [item for item in ITEMS if item != "l7policy"])
def test_an_empty_update_is_a_change(harness: Harness, tree: Tree, item: str) -> None:
    updated = harness.accepted(harness.client.put(tree.paths[item], {item: {}}), 200)
    assert updated["provisioning_status"] == "PENDING_UPDATE"
    assert (
        harness.client.get(tree.paths["loadbalancer"]).json["loadbalancer"]["provisioning_status"] == "PENDING_UPDATE"
    )


@pytest.mark.parametrize("item", [item for item in ITEMS if item != "loadbalancer"])
def test_a_childs_project_is_its_load_balancers(harness: Harness, tree: Tree, item: str) -> None:
    make_room(harness, tree, item)
    body = {item: {**tree.minimal(item), "project_id": "other", "tenant_id": "another"}}
    assert harness.accepted(harness.client.post(tree.collections[item], body))["project_id"] == "default"


def test_uuids_in_any_spelling(harness: Harness) -> None:
    created = harness.load_balancer(vip_subnet_id="6F4B9A0E2A534C6B9C1F6F2D0C2B5A11")
    assert created["vip_subnet_id"] == "6f4b9a0e-2a53-4c6b-9c1f-6f2d0c2b5a11"


def make_room(harness: Harness, tree: Tree, item: str) -> None:
    """A pool has one monitor: the tree's goes before another comes."""
    if item == "healthmonitor":
        assert harness.client.delete(tree.paths["healthmonitor"]).status == 204
