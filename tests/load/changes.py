"""Every kind of change that the API offers, each as steps that end where they began.

None of them asks to end the traffic that goes on: of each pool with load the member `one` stays as it is, and what
takes a service away is done to objects without load (`idle`).
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import MonitorType, PoolProtocol
from tests.load.site import POOLS, Site

Step: TypeAlias = Callable[[Site], None]
#: a value, or what finds it when it is needed
Value: TypeAlias = Any


class Change(Struct, frozen=True):
    """What is changed (`listener.timeout_client_data`), of which object, and how."""

    kind: str
    target: str
    steps: tuple[Step, ...]


#: the item of each collection of the site, as request bodies have it
_ITEMS = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "members": "member",
    "monitors": "healthmonitor",
    "policies": "l7policy",
    "rules": "rule",
}


def _put(target: str, **values: Value) -> Step:
    item = _ITEMS[target.partition("/")[0]]

    def act(site: Site) -> None:
        found = {name: value(site) if callable(value) else value for name, value in values.items()}
        site.api.put(site.paths[target], {item: found})

    return act


def _update(target: str, attribute: str, *values: Value, **along: Value) -> Change:
    """Give an attribute one value after the other, the last of which is that of the beginning."""
    item = _ITEMS[target.partition("/")[0]]
    steps = tuple(_put(target, **{attribute: value}, **along) for value in values)
    return Change(f"{item}.{attribute}", target, steps)


def _create(method: Callable[..., None], *arguments: Any, **values: Any) -> Step:
    """A step that makes an object by a method of `Site`."""
    return lambda site: method(site, *arguments, **values)


def _delete(name: str) -> Step:
    return lambda site: site.delete(name)


def _labels(target: str, *, described: bool = True, named: bool = True) -> Iterator[Change]:
    if named:
        yield _update(target, "name", "another name", target.rpartition("/")[2])
    if described:
        yield _update(target, "description", "A sentence.", "")
    yield _update(target, "tags", ["one", "two"], [])


def changes() -> list[Change]:
    """All of them."""
    return [
        *_load_balancers(),
        *_listeners(),
        *_termination(),
        *_pools(),
        *_members(),
        *_monitors(),
        *_policies(),
        *_rules(),
        *_comings_and_goings(),
    ]


def _load_balancers() -> Iterator[Change]:
    yield from _labels("loadbalancers/main")
    yield _update("loadbalancers/idle", "admin_state_up", False, True)
    yield _update("loadbalancers/main", "vip_qos_policy_id", lambda site: site.qos_policy, None)
    # Networks that Livia owns have no security groups: there are none to name.
    yield _update("loadbalancers/main", "vip_sg_ids", [])
    yield Change(
        "loadbalancer create, delete",
        "loadbalancers/coming",
        (_create(Site.create_load_balancer, "coming"), _delete("loadbalancers/coming")),
    )


_TIMEOUTS = {
    "timeout_client_data": (60_000, 50_000),
    "timeout_member_connect": (4_000, 5_000),
    "timeout_member_data": (60_000, 50_000),
    "timeout_tcp_inspect": (100, 0),
}


def _listeners() -> Iterator[Change]:
    for name in ("http", "tls", "stream", "datagrams"):
        target = f"listeners/{name}"
        yield _update(target, "connection_limit", 3000, 2000, -1)
        for attribute, values in _TIMEOUTS.items():
            yield _update(target, attribute, *values)
        yield _update(target, "allowed_cidrs", ["10.83.0.0/24"], ["10.83.0.0/24", "192.0.2.0/24"], None)
    yield from _labels("listeners/http")
    yield _update("listeners/idle", "admin_state_up", False, True)
    for name, other in (("http", "spare"), ("tls", "spare")):
        yield _update(f"listeners/{name}", "default_pool_id", _id(f"pools/{other}"), _id(f"pools/{_SERVED_BY[name]}"))
    yield _update("listeners/idle", "default_pool_id", None, _id("pools/idle"))
    yield _update("listeners/http", "insert_headers", {"X-Forwarded-For": "true", "X-Forwarded-Port": "true"}, {})


#: the default pool of a listener
_SERVED_BY = {"http": "web", "tls": "secure"}


def _id(name: str) -> Callable[[Site], str]:
    return lambda site: site.id(name)


def _authority(site: Site) -> str:
    return site.authority


def _revocations(site: Site) -> str:
    return site.revocations


def _termination() -> Iterator[Change]:
    tls = "listeners/tls"
    yield _update(
        tls, "default_tls_container_ref", lambda site: site.certificates[1], lambda site: site.certificates[0]
    )
    yield Change("secret replace", tls, (lambda site: site.renew(site.certificates[0]),))
    yield _update(tls, "sni_container_refs", lambda site: [site.other_name], [])
    trusted = {"client_ca_tls_container_ref": _authority}
    bare = {"client_authentication": "NONE", "client_crl_container_ref": None, "client_ca_tls_container_ref": None}
    given = "client_ca_tls_container_ref", "client_authentication", "client_crl_container_ref"
    for attribute, steps in (
        (given[0], (_put(tls, **trusted), _put(tls, **bare))),
        (
            given[1],
            (
                _put(tls, client_authentication="OPTIONAL", **trusted),
                _put(tls, client_authentication="MANDATORY"),
                _put(tls, **bare),
            ),
        ),
        (
            given[2],
            (
                _put(tls, client_authentication="MANDATORY", client_crl_container_ref=_revocations, **trusted),
                _put(tls, **bare),
            ),
        ),
    ):
        yield Change(f"listener.{attribute}", tls, steps)
    yield _update(tls, "tls_ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384", None)
    yield _update(tls, "tls_versions", ["TLSv1.2"], ["TLSv1.3"], None)
    yield _update(tls, "alpn_protocols", ["h2"], None)
    yield _update(tls, "hsts_max_age", 60, None)
    yield _update(tls, "hsts_include_subdomains", True, False, hsts_max_age=60)
    yield _update(tls, "hsts_preload", True, False, hsts_max_age=60)


def _pools() -> Iterator[Change]:
    for name in ("web", "secure", "stream", "datagrams"):
        target = f"pools/{name}"
        yield _update(target, "lb_algorithm", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT", "ROUND_ROBIN")
    yield from _labels("pools/web")
    yield _update("pools/idle", "admin_state_up", False, True)
    persistence = "session_persistence"
    app_cookie = {"type": "APP_COOKIE", "cookie_name": "session"}
    yield _update("pools/web", persistence, {"type": "SOURCE_IP"}, {"type": "HTTP_COOKIE"}, app_cookie, None)
    yield _update("pools/stream", persistence, {"type": "SOURCE_IP"}, None)
    brief = {"type": "SOURCE_IP", "persistence_timeout": 10, "persistence_granularity": "255.255.255.0"}
    yield _update("pools/datagrams", persistence, {"type": "SOURCE_IP"}, brief, None)
    yield _update("pools/secure", "tls_enabled", True, False)
    for attribute, value in (
        ("tls_container_ref", lambda site: site.certificates[1]),
        ("ca_tls_container_ref", _authority),
        ("tls_ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("tls_versions", ["TLSv1.2"]),
        ("alpn_protocols", ["http/1.1"]),
    ):
        yield Change(
            f"pool.{attribute}",
            "pools/secure",
            (
                _put("pools/secure", tls_enabled=True, **{attribute: value}),
                _put("pools/secure", tls_enabled=False, **{attribute: None}),
            ),
        )
    yield Change(
        "pool.crl_container_ref",
        "pools/secure",
        (
            _put("pools/secure", tls_enabled=True, ca_tls_container_ref=_authority, crl_container_ref=_revocations),
            _put("pools/secure", tls_enabled=False, ca_tls_container_ref=None, crl_container_ref=None),
        ),
    )


def _members() -> Iterator[Change]:
    for pool in ("web", "secure", "stream", "datagrams"):
        target = f"members/{pool}/two"
        port = POOLS[pool][1]
        yield _update(target, "admin_state_up", False, True)
        yield _update(target, "weight", 0, 5, 1)
        yield _update(target, "backup", True, False)
        yield _update(target, "monitor_address", lambda site: site.members.addresses["three"], None)
        yield _update(target, "monitor_port", port, None)
        yield Change(
            "member create, delete",
            f"members/{pool}/three",
            (_create(Site.create_member, pool, "three", port), _delete(f"members/{pool}/three")),
        )
        yield Change(
            "member batch",
            f"pools/{pool}",
            (_batch(pool, port, "one", "two", "three"), _batch(pool, port, "one", "two")),
        )
    yield from _labels("members/web/two", described=False)


def _batch(pool: str, port: int, *names: str) -> Step:
    def act(site: Site) -> None:
        wanted = [site.member(name, port) for name in names]
        site.api.put(f"{site.paths[f'pools/{pool}']}/members", {"members": wanted})

    return act


def _monitors() -> Iterator[Change]:
    for pool, delay in (("web", 1), ("stream", 1), ("datagrams", 3)):
        target = f"monitors/{pool}"
        yield _update(target, "admin_state_up", False, True)
        yield _update(target, "delay", 5, delay)
        yield _update(target, "timeout", 2, 1, delay=4) if delay > 1 else _update(target, "max_retries", 3, 2)
        yield _update(target, "max_retries", 1, 2)
        yield _update(target, "max_retries_down", 3, 2)
    web = "monitors/web"
    yield _update(web, "timeout", 2, 1, delay=5)
    yield _update(web, "delay", 2, 1)
    yield _update(web, "http_method", "HEAD", "GET")
    yield _update(web, "url_path", "/health", "/")
    yield _update(web, "expected_codes", "200-204", "200,201", "200")
    yield _update(web, "http_version", 1.1, 1.0)
    yield _update(web, "domain_name", "www.example.net", None, http_version=1.1)
    yield from _labels(web, described=False)
    for pool in ("web", "stream", "datagrams"):
        yield Change(
            "healthmonitor create, delete",
            f"monitors/{pool}",
            (
                _delete(f"monitors/{pool}"),
                _create(Site.create_monitor, pool, POOLS[pool][2]),
            ),
        )


def _policies() -> Iterator[Change]:
    harmless, elsewhere = "policies/to-spare", "policies/elsewhere"
    yield from _labels(harmless)
    yield _update(harmless, "admin_state_up", False, True)
    yield _update(harmless, "position", 2, 1)
    yield _update(harmless, "redirect_pool_id", _id("pools/web"), _id("pools/spare"))
    url, prefix = "http://elsewhere.example.net/x", "http://elsewhere.example.net"
    reject = _put(elsewhere, action="REJECT")
    ways: dict[str, dict[str, Value]] = {
        "action": {"action": "REDIRECT_TO_POOL", "redirect_pool_id": _id("pools/spare")},
        "redirect_url": {"action": "REDIRECT_TO_URL", "redirect_url": url},
        "redirect_prefix": {"action": "REDIRECT_PREFIX", "redirect_prefix": prefix},
        "redirect_http_code": {"action": "REDIRECT_TO_URL", "redirect_url": url, "redirect_http_code": 301},
    }
    for attribute, values in ways.items():
        yield Change(f"l7policy.{attribute}", elsewhere, (_put(elsewhere, **values), reject))
    coming = _create(Site.create_policy, "coming", "/elsewhere", action="REJECT")
    yield Change("l7policy create, delete", "policies/coming", (coming, _delete("policies/coming")))


def _rules() -> Iterator[Change]:
    rule = "rules/to-spare"
    begin = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/slow", "key": None}
    yield _update(rule, "admin_state_up", False, True)
    yield _update(rule, "invert", True, False)
    yield _update(rule, "tags", ["one"], [])
    for attribute, values in {
        "type": {"type": "HOST_NAME", "value": "www"},
        "compare_type": {"compare_type": "CONTAINS"},
        "key": {"type": "HEADER", "key": "X-Way", "value": "this"},
        "value": {"value": "/"},
    }.items():
        yield Change(f"rule.{attribute}", rule, (_put(rule, **values), _put(rule, **begin)))
    yield Change(
        "rule create, delete",
        rule,
        (_delete(rule), _create(Site.create_rule, "to-spare", "/slow")),
    )


def _comings_and_goings() -> Iterator[Change]:
    for number, protocol in enumerate(ListenerProtocol):
        yield Change(
            "listener create, delete",
            f"listeners/coming-{protocol}",
            (
                _create(Site.create_listener, f"coming-{protocol}", protocol, 9500 + number),
                _delete(f"listeners/coming-{protocol}"),
            ),
        )
    for spoken in PoolProtocol:
        yield Change(
            "pool create, delete",
            f"pools/coming-{spoken}",
            (
                _create(Site.create_pool, f"coming-{spoken}", spoken),
                _delete(f"pools/coming-{spoken}"),
            ),
        )
    # The agent checks by other means what has no connections: `datagrams` has its own monitor.
    for kind in MonitorType:
        if kind not in (MonitorType.UDP_CONNECT, MonitorType.SCTP):
            yield Change("healthmonitor create, delete", "monitors/idle", (*_retyped(kind), *_retyped("PING")))


def _retyped(kind: str) -> tuple[Step, Step]:
    return _delete("monitors/idle"), _create(Site.create_monitor, "idle", kind)
