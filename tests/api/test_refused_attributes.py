"""Values that attributes refuse: wrong type, beyond the limits (contract 10-40, section 2; 00, section 4)."""

from typing import Any

import pytest

from tests.api.harness import Harness, Tree
from tests.api.test_attributes import CREATE_ONLY, DESCRIBED, ITEMS, NAMED

REF = "https://keys.example.net/v1/containers/4c0a3f0e"
TEXT = "Value should be string"
LONG = "Value should have a maximum character requirement of 255"
UUID = "Value should be UUID format"
IP = "Value should be IPv4 or IPv6 format"
LIST = "Value should be a list"
BOOLEAN = "Value should be a boolean"
INTEGER = "Value should be an integer"
MANDATORY = "Value: 'None'. Mandatory field missing."
NO_BOOLEANS: tuple[Any, ...] = ("False", "maybe", [], 1.5)

#: resource, attribute, value, reason; on POST and, where PUT takes it, on PUT
WRONG: list[tuple[str, str, Any, str]] = [
    *((item, "name", 7, TEXT) for item in NAMED),
    *((item, "name", "x" * 256, LONG) for item in NAMED),
    *((item, "name", "a\x00b", TEXT) for item in NAMED),
    *((item, "description", "x" * 256, LONG) for item in DESCRIBED),
    *((item, "admin_state_up", value, BOOLEAN) for item in ITEMS for value in NO_BOOLEANS),
    *((item, "tags", "a", LIST) for item in ITEMS),
    *((item, "tags", ["a", 1], TEXT) for item in ITEMS),
    *((item, "tags", ["x" * 256], LONG) for item in ITEMS),
    *((item, "project_id", "x" * 37, "maximum character requirement of 36") for item in ITEMS),
    ("loadbalancer", "vip_subnet_id", "", UUID),
    ("loadbalancer", "vip_network_id", "net", UUID),
    ("loadbalancer", "vip_port_id", 5, UUID),
    ("loadbalancer", "vip_address", "10.0.0.256", IP),
    ("loadbalancer", "vip_address", "010.0.0.1", IP),
    ("loadbalancer", "vip_qos_policy_id", "x", UUID),
    ("loadbalancer", "vip_sg_ids", ["x"], UUID),
    ("loadbalancer", "flavor_id", "x", UUID),
    ("loadbalancer", "provider", "x" * 65, "maximum character requirement of 64"),
    ("loadbalancer", "additional_vips", {}, LIST),
    ("listener", "protocol", "HTTP2", "Value should be one of:"),
    ("listener", "protocol", "http", "Value should be one of:"),
    ("listener", "protocol", None, MANDATORY),
    ("listener", "protocol_port", 0, "Value should be greater or equal to 1"),
    ("listener", "protocol_port", 65536, "Value should be lower or equal to 65535"),
    ("listener", "protocol_port", "x", INTEGER),
    ("listener", "protocol_port", None, MANDATORY),
    ("listener", "loadbalancer_id", "x", UUID),
    ("listener", "connection_limit", -2, "Value should be greater or equal to -1"),
    ("listener", "connection_limit", 2**63, "Value should be lower or equal to"),
    ("listener", "default_pool_id", "x", UUID),
    ("listener", "insert_headers", {"X-Forwarded-For": True}, TEXT),
    ("listener", "insert_headers", [], "Value should be an object"),
    *(
        ("listener", f"timeout_{name}", value, reason)
        for name in ("client_data", "member_connect", "member_data", "tcp_inspect")
        for value, reason in ((-1, "greater or equal to 0"), (2073600001, "lower or equal to 2073600000"))
    ),
    ("listener", "client_authentication", "SOMETIMES", "Value should be one of:"),
    ("listener", "allowed_cidrs", ["10.0.0.0/33"], "Value should be IPv4 or IPv6 CIDR format"),
    ("listener", "allowed_cidrs", "10.0.0.0/8", LIST),
    ("listener", "tls_ciphers", "x" * 2049, "maximum character requirement of 2048"),
    ("listener", "tls_versions", ["x" * 33], "maximum character requirement of 32"),
    ("listener", "alpn_protocols", ["http/0.9"], "Value should be a valid ALPN protocol ID"),
    ("listener", "hsts_max_age", -1, "Value should be greater or equal to 0"),
    ("listener", "default_tls_container_ref", "x" * 256, LONG),
    ("listener", "sni_container_refs", REF, LIST),
    ("pool", "protocol", "HTTP3", "Value should be one of:"),
    ("pool", "protocol", None, MANDATORY),
    ("pool", "lb_algorithm", "RANDOM", "Value should be one of:"),
    ("pool", "lb_algorithm", None, MANDATORY),
    ("pool", "session_persistence", "SOURCE_IP", "Value should be an object"),
    ("pool", "tls_enabled", "maybe", BOOLEAN),
    ("pool", "alpn_protocols", ["spdy"], "Value should be a valid ALPN protocol ID"),
    ("pool", "crl_container_ref", "x" * 256, LONG),
    ("member", "address", "web.example.net", IP),
    ("member", "address", "fe80::1%eth0", IP),
    ("member", "address", None, MANDATORY),
    ("member", "protocol_port", 0, "Value should be greater or equal to 1"),
    ("member", "protocol_port", None, MANDATORY),
    ("member", "weight", 257, "Value should be lower or equal to 256"),
    ("member", "weight", -1, "Value should be greater or equal to 0"),
    ("member", "monitor_port", 0, "Value should be greater or equal to 1"),
    ("member", "monitor_address", "x", IP),
    ("member", "subnet_id", "x", UUID),
    ("member", "backup", "maybe", BOOLEAN),
    ("healthmonitor", "pool_id", "x", UUID),
    ("healthmonitor", "type", "http", "Value should be one of:"),
    ("healthmonitor", "type", None, MANDATORY),
    ("healthmonitor", "delay", -1, "Value should be greater or equal to 0"),
    ("healthmonitor", "timeout", "x", INTEGER),
    ("healthmonitor", "max_retries", 0, "Value should be greater or equal to 1"),
    ("healthmonitor", "max_retries", 11, "Value should be lower or equal to 10"),
    ("healthmonitor", "max_retries_down", 11, "Value should be lower or equal to 10"),
    ("healthmonitor", "http_method", "get", "Value should be one of:"),
    *(("healthmonitor", "url_path", path, "Value should be") for path in ("", "x", "//host/x", "/a b", "http://h/")),
    ("healthmonitor", "url_path", "/" + "x" * 255, LONG),
    *(
        ("healthmonitor", "expected_codes", codes, "Value should")
        for codes in ("20", "2000", "2xx", "200,300-301", "200 - 204", 200, "", ",".join(["200"] * 17))
    ),
    *(("healthmonitor", "http_version", version, "Value should be one of:") for version in (2, 1.2, "x", True)),
    *(
        ("healthmonitor", "domain_name", name, "Value should")
        for name in ("", "-a.net", "a-.net", "a..net", "a_b.net", "x" * 64, "a.net\n", ".".join(["x" * 60] * 5))
    ),
    ("l7policy", "listener_id", "x", UUID),
    ("l7policy", "action", "reject", "Value should be one of:"),
    ("l7policy", "redirect_pool_id", "x", UUID),
    *(
        ("l7policy", name, url, "Not a valid URL")
        for name in ("redirect_url", "redirect_prefix")
        for url in (
            "",
            "www.example.net",
            "ftp://a.net/",
            "http://",
            "http://a b/",
            "http://a/\n",
            "http://a:x/",
            "http://a:65536/",
        )
    ),
    ("l7policy", "redirect_url", "http://a/" + "x" * 247, LONG),
    *(("l7policy", "redirect_http_code", code, "Value should be one of: 301,") for code in (200, 300, "304", True)),
    ("l7policy", "redirect_http_code", "x", INTEGER),
    ("l7policy", "position", 0, "Value should be greater or equal to 1"),
    ("l7policy", "position", -1, "Value should be greater or equal to 1"),
    ("l7policy", "position", 2147483648, "Value should be lower or equal to 2147483647"),
    ("l7policy", "rules", {}, LIST),
    ("l7policy", "rules", ["x"], "Value should be an object"),
    ("rule", "type", "path", "Value should be one of:"),
    ("rule", "type", None, MANDATORY),
    ("rule", "compare_type", "LIKE", "Value should be one of:"),
    ("rule", "compare_type", None, MANDATORY),
    ("rule", "value", None, MANDATORY),
    ("rule", "invert", "maybe", BOOLEAN),
    *(
        ("rule", name, value, reason)
        for name in ("key", "value")
        for value, reason in (
            (7, TEXT),
            ("x" * 256, LONG),
            ("a\nb", "Value should match the pattern"),
            ("a\r", "Value should match the pattern"),
        )
    ),
]
WRONG_ONLY_ON_CREATE = CREATE_ONLY | {
    "project_id",
    "vip_subnet_id",
    "vip_network_id",
    "vip_port_id",
    "flavor_id",
    "additional_vips",
    "loadbalancer_id",
    "pool_id",
    "listener_id",
    "rules",
}
#: what other resources than the one in the row can change
ALSO_CREATE_ONLY = {("healthmonitor", "type")}


@pytest.mark.parametrize("item, name, value, reason", WRONG)
def test_create_refuses(harness: Harness, tree: Tree, item: str, name: str, value: Any, reason: str) -> None:
    body = {item: {**tree.minimal(item), name: value}}
    fault = harness.refused("POST", tree.collections[item], body, 400, reason)
    assert fault.startswith(f"Invalid input for field/attribute {name}. Value: '")


@pytest.mark.parametrize(
    "item, name, value, reason",
    [row for row in WRONG if row[1] not in WRONG_ONLY_ON_CREATE and row[:2] not in ALSO_CREATE_ONLY],
)
def test_update_refuses(harness: Harness, tree: Tree, item: str, name: str, value: Any, reason: str) -> None:
    fault = harness.refused("PUT", tree.paths[item], {item: {name: value}}, 400, reason)
    assert fault.startswith(f"Invalid input for field/attribute {name}. Value: '")
