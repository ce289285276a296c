"""Every combination of enumerated values that the contract allows, on a real data plane: all of it ACTIVE."""

import http.client
from itertools import product
from typing import Any

import pytest

from livia.core.model.l7 import REDIRECT_CODES, Action, RuleType
from livia.core.model.listener import ClientAuthentication, ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.rules.l7 import COMPARE_TYPES
from livia.core.rules.listeners import PLAIN_HEADERS, TLS_HEADERS
from livia.core.rules.monitors import HTTP_TYPES, type_fits_pool
from livia.core.rules.persistence import BYTE_STREAMS
from livia.core.rules.protocols import POOLS_OF
from livia.core.rules.tls import VERSIONS
from livia.core.rules.verdict import ACCEPT
from livia.ops.demo.api import ApiError
from tests.keymaterial import ROOT, WEB
from tests.system.attributes.site import Site

#: SSLv3, the first, is refused
_SPOKEN = VERSIONS[1:]
_DATAGRAMS = ("UDP", "SCTP")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")
_CODES = ("200", "200, 201,204", "200-204", "204-200", "999")
_RULES: dict[RuleType, dict[str, str]] = {
    RuleType.HOST_NAME: {"value": "www.example.net"},
    RuleType.PATH: {"value": "/somewhere"},
    RuleType.FILE_TYPE: {"value": "jpg"},
    RuleType.HEADER: {"key": "X-Any", "value": "any"},
    RuleType.COOKIE: {"key": "any", "value": "any"},
    RuleType.SSL_CONN_HAS_CERT: {"value": "True"},
    RuleType.SSL_VERIFY_RESULT: {"value": "21"},
    RuleType.SSL_DN_FIELD: {"key": "CN", "value": "any"},
}


def _persistences(listener: str, pool: str) -> list[dict[str, Any] | None]:
    """Each kind that such a pool can have behind such a listener; every datagram pool with its details."""
    if pool in _DATAGRAMS:
        details: dict[str, Any] = {"persistence_timeout": 60, "persistence_granularity": "255.255.255.0"}
        return [None, {"type": "SOURCE_IP"}, {"type": "SOURCE_IP", **details}]
    if not BYTE_STREAMS.isdisjoint((listener, pool)):
        return [None, {"type": "SOURCE_IP"}]
    named = {PersistenceType.APP_COOKIE: {"cookie_name": "JSESSIONID"}}
    return [None, *({"type": str(kind), **named.get(kind, {})} for kind in PersistenceType)]


def _monitors(pool: str) -> list[dict[str, Any] | None]:
    """Each type that such a pool can have, HTTP in all its variants."""
    # So late that no check disturbs the machine.
    common = {"delay": 3600, "timeout": 5, "max_retries": 10, "max_retries_down": 10}
    found: list[dict[str, Any] | None] = [None]
    for kind in MonitorType:
        if type_fits_pool(kind, pool) is not ACCEPT:
            continue
        found.append({"type": str(kind), **common})
        if kind in HTTP_TYPES:
            found += [{"type": str(kind), **common, "http_method": method} for method in _METHODS]
            found += [{"type": str(kind), **common, "expected_codes": codes} for codes in _CODES]
            found.append({"type": str(kind), **common, "http_version": 1.0, "url_path": "/a?b=c#d"})
            found.append({"type": str(kind), **common, "http_version": 1.1, "domain_name": "www.example.net"})
    return found


def _listeners(site: Site, protocol: str) -> list[dict[str, Any]]:
    """A listener for each combination of pool protocol, algorithm and persistence, and for each monitor."""
    own = {"default_tls_container_ref": site.keyed(WEB)} if protocol == "TERMINATED_HTTPS" else {}
    members = [site.members[0].body()]
    pools: list[dict[str, Any]] = []
    for pool in sorted(POOLS_OF[protocol]):
        shared = {"protocol": pool, "members": members}
        for algorithm, persistence in product(Algorithm, _persistences(protocol, pool)):
            pools.append({**shared, "lb_algorithm": str(algorithm), "session_persistence": persistence})
        pools += [{**shared, "lb_algorithm": "ROUND_ROBIN", "healthmonitor": monitor} for monitor in _monitors(pool)]
    return [
        {
            "protocol": protocol,
            "protocol_port": 1000 + number,
            "default_pool": {"name": f"p{number}", **pool},
            **own,
        }
        for number, pool in enumerate(pools)
    ]


def test_every_kind_of_pool_behind_every_kind_of_listener(site: Site) -> None:
    protocols = [str(each) for each in ListenerProtocol if POOLS_OF[each]]
    assert {pool for each in protocols for pool in POOLS_OF[each]} == {str(each) for each in PoolProtocol}
    made = [site.create(protocol, listeners=_listeners(site, protocol)) for protocol in protocols]
    for balancer in made:
        with balancer:
            listeners = balancer.api.get(f"/listeners?loadbalancer_id={balancer.id}&fields=provisioning_status")
            assert {each["provisioning_status"] for each in listeners["listeners"]} == {"ACTIVE"}


def test_every_rule_and_every_action(site: Site) -> None:
    assert COMPARE_TYPES.keys() == _RULES.keys() == set(RuleType)
    rules = [
        {"type": str(kind), "compare_type": str(compare), "invert": invert, **_RULES[kind]}
        for kind, compares in COMPARE_TYPES.items()
        for compare in sorted(compares)
        for invert in (False, True)
    ]
    url = {"redirect_url": "https://www.example.net/there"}
    prefix = {"redirect_prefix": "https://www.example.net"}
    targets: dict[Action, list[dict[str, Any]]] = {
        Action.REJECT: [{}],
        Action.REDIRECT_TO_POOL: [{"redirect_pool": site.pool(name="aside")}],
        Action.REDIRECT_TO_URL: [{**url, "redirect_http_code": code} for code in REDIRECT_CODES],
        Action.REDIRECT_PREFIX: [{**prefix, "redirect_http_code": code} for code in REDIRECT_CODES],
    }
    policies = [
        {"action": str(action), **target, "rules": [rules[0]]} for action in Action for target in targets[action]
    ]
    policies += [{"action": "REJECT", "rules": [rule]} for rule in rules]
    listener: dict[str, Any] = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443}
    listener |= {"default_tls_container_ref": site.keyed(WEB), "client_ca_tls_container_ref": site.bundle(ROOT.pem)}
    with site.create("l7", listeners=[{**listener, "l7policies": policies}]):
        pass


@pytest.mark.parametrize("side", ["clients", "members"])
def test_every_kind_of_tls(site: Site, side: str) -> None:
    """All versions without a gap, each protocol of ALPN, each way to authenticate clients, all headers."""
    versions = [list(_SPOKEN[first : last + 1]) for first in range(len(_SPOKEN)) for last in range(first, len(_SPOKEN))]
    alpn = [["h2"], ["http/1.1"], ["http/1.0"], ["h2", "http/1.1", "http/1.0"]]
    kinds: list[dict[str, Any]] = [*({"tls_versions": each} for each in versions)]
    kinds += [{"alpn_protocols": each} for each in alpn]
    kinds += [{"tls_ciphers": each} for each in ("ALL:@SECLEVEL=0", "HIGH:!aNULL", "TLS_AES_128_GCM_SHA256")]
    authority = {"client_ca_tls_container_ref": site.bundle(ROOT.pem)}
    revoked = {**authority, "client_crl_container_ref": site.bundle(ROOT.revocation_list())}
    if side == "clients":
        for mode in ClientAuthentication:
            kinds += [{**each, "client_authentication": str(mode)} for each in (authority, revoked)]
        kinds.append({"insert_headers": dict.fromkeys(PLAIN_HEADERS | TLS_HEADERS, "true")})
        kinds.append({"hsts_max_age": 0, "hsts_preload": True, "hsts_include_subdomains": True})
    else:
        kinds += [
            {"ca_tls_container_ref": site.bundle(ROOT.pem), "crl_container_ref": site.bundle(ROOT.revocation_list())},
            {"tls_container_ref": site.keyed(WEB)},
        ]
    own = {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": site.keyed(WEB)}
    mine = [kind if side == "clients" else {} for kind in kinds]
    theirs = [{} if side == "clients" else {"tls_enabled": True, **kind} for kind in kinds]
    listeners = [
        {
            **own,
            "name": f"l{number}",
            "protocol_port": 1000 + number,
            "default_pool": site.pool(name=f"p{number}", **pool),
            **listener,
        }
        for number, (listener, pool) in enumerate(zip(mine, theirs, strict=True))
    ]
    with site.create(f"tls-{side}", listeners=listeners) as balancer:
        balancer.becomes(**{each["name"]: "ONLINE" for each in listeners})


def test_what_cannot_be_had_here_is_refused_with_the_reason(site: Site) -> None:
    """And nothing else: what the API takes, the data plane does."""
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("listener", {"tls_versions": ["SSLv3", "TLSv1"]}, "it does TLSv1, TLSv1.1, TLSv1.2, TLSv1.3"),
        ("listener", {"tls_versions": ["TLSv1.1", "TLSv1.3"]}, "a gap in tls_versions"),
        ("pool", {"tls_enabled": True, "tls_versions": ["SSLv3"]}, "tls_versions SSLv3"),
        ("pool", {"protocol": "TCP", "session_persistence": {"type": "HTTP_COOKIE"}}, "passed on unread"),
        ("pool", {"protocol": "UDP", "tls_enabled": True}, "tls_enabled"),
    ]
    own = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": site.keyed(WEB)}
    for kind, values, text in refused:
        listeners = [{**own, **values}] if kind == "listener" else []
        pools = [site.pool(**values)] if kind == "pool" else []
        with pytest.raises(ApiError, match=text) as refusal:
            site.create("refused", listeners=listeners, pools=pools)
        assert refusal.value.status == http.client.NOT_IMPLEMENTED
