"""What an explicit null means, attribute by attribute (contract 10-50, section 2; 00, section 8)."""

from typing import Any

import pytest

from tests.api.harness import Harness, Tree
from tests.api.test_attributes import DEFAULTS, DESCRIBED, ITEMS, NAMED, A, make_room

#: resource, attribute, what null means on POST
NULL_ON_CREATE: list[tuple[str, str, Any]] = [
    *((item, "name", "") for item in NAMED),
    *((item, "admin_state_up", False) for item in ITEMS),
    *((item, "tags", []) for item in ITEMS),
    *((item, "description", "") for item in DESCRIBED),
    ("loadbalancer", "provider", "amphora"),
    ("loadbalancer", "vip_address", "198.51.100.1"),
    ("loadbalancer", "vip_qos_policy_id", None),
    ("loadbalancer", "vip_sg_ids", []),
    ("loadbalancer", "additional_vips", []),
    ("loadbalancer", "listeners", []),
    ("loadbalancer", "pools", []),
    ("loadbalancer", "project_id", "default"),
    *(
        ("listener", name, DEFAULTS["listener"][name])
        for name in DEFAULTS["listener"]
        if name not in ("admin_state_up", "provisioning_status", "operating_status", "updated_at")
    ),
    *(
        ("pool", name, DEFAULTS["pool"][name])
        for name in ("session_persistence", "tls_enabled", "tls_container_ref", "ca_tls_container_ref", "tls_ciphers")
    ),
    *(
        ("member", name, DEFAULTS["member"][name])
        for name in ("weight", "backup", "subnet_id", "monitor_address", "monitor_port")
    ),
    *(
        ("healthmonitor", name, DEFAULTS["healthmonitor"][name])
        for name in ("max_retries_down", "http_method", "url_path", "expected_codes", "http_version", "domain_name")
    ),
    *(
        ("l7policy", name, DEFAULTS["l7policy"][name])
        for name in (
            "redirect_pool_id",
            "redirect_url",
            "redirect_prefix",
            "redirect_http_code",
            "position",
            "rules",
        )
    ),
    ("rule", "key", None),
    ("rule", "invert", False),
]


@pytest.mark.parametrize("item, name, meaning", NULL_ON_CREATE)
def test_null_on_create(harness: Harness, tree: Tree, item: str, name: str, meaning: Any) -> None:
    make_room(harness, tree, item)
    body = {item: {**tree.minimal(item), name: None}}
    assert harness.accepted(harness.client.post(tree.collections[item], body))[name] == meaning


#: resource, attribute, a value to begin with, what null makes of it on PUT
NULL_ON_UPDATE: list[tuple[str, str, Any, Any]] = [
    *((item, "name", "x", "") for item in NAMED),
    *((item, "admin_state_up", True, False) for item in ITEMS),
    *((item, "tags", ["a"], ["a"]) for item in ITEMS),
    *((item, "description", "x", "") for item in DESCRIBED),
    ("loadbalancer", "vip_qos_policy_id", A, None),
    ("loadbalancer", "vip_sg_ids", [A], []),
    ("listener", "connection_limit", 5, -1),
    ("listener", "insert_headers", {"X-Forwarded-For": "true"}, {}),
    ("listener", "timeout_client_data", 1, 50000),
    ("listener", "timeout_member_connect", 1, 5000),
    ("listener", "timeout_member_data", 1, 50000),
    ("listener", "timeout_tcp_inspect", 1, 0),
    ("listener", "client_authentication", "NONE", "NONE"),
    ("listener", "allowed_cidrs", ["10.0.0.0/8"], None),
    ("listener", "tls_ciphers", "AES", None),
    ("listener", "tls_versions", ["TLSv1.3"], None),
    ("listener", "alpn_protocols", ["h2"], None),
    ("listener", "hsts_max_age", None, None),
    ("pool", "session_persistence", {"type": "SOURCE_IP"}, None),
    ("pool", "tls_enabled", False, False),
    ("pool", "tls_ciphers", "AES", None),
    ("pool", "tls_versions", ["TLSv1.3"], None),
    ("pool", "alpn_protocols", ["h2"], None),
    ("member", "weight", 7, 1),
    ("member", "backup", True, False),
    ("member", "monitor_address", "10.0.0.9", None),
    ("member", "monitor_port", 9, None),
    ("healthmonitor", "max_retries_down", 7, 3),
    ("healthmonitor", "http_method", "HEAD", "GET"),
    ("healthmonitor", "url_path", "/x", "/"),
    ("healthmonitor", "expected_codes", "201", "200"),
    ("healthmonitor", "http_version", 1.1, None),
    ("l7policy", "redirect_http_code", 307, None),
    ("l7policy", "redirect_prefix", None, None),
    ("l7policy", "redirect_pool_id", None, None),
    ("l7policy", "position", 1, 1),
    ("rule", "key", "x", None),
    ("rule", "invert", True, False),
]


@pytest.mark.parametrize("item, name, first, meaning", NULL_ON_UPDATE)
def test_null_on_update(harness: Harness, tree: Tree, item: str, name: str, first: Any, meaning: Any) -> None:
    harness.accepted(harness.client.put(tree.paths[item], {item: {name: first}}), 200)
    assert harness.accepted(harness.client.put(tree.paths[item], {item: {name: None}}), 200)[name] == meaning
