"""What clients are answered, by what tenants were promised (contracts 20, 30 and 50)."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tests.crash.members import DEAD_PORT, status
from tests.crash.model import Balancer, Thing

#: what L7 rules look at: a header and a cookie of these names
HEADER = "X-Crash"
COOKIE = "crash"
HTTP = frozenset({"HTTP", "TERMINATED_HTTPS"})
#: types of monitors that look at the answer to a request
ASKING = frozenset({"HTTP", "HTTPS"})
_MEMBERS_VERSION = 4
#: requests to one listener that are told apart; most policies are by fewer
_MOST_REQUESTS = 16
#: REJECT comes first, then redirects, then REDIRECT_TO_POOL; the position decides within each (contract 50, section 3)
_RANK = {"REJECT": 0, "REDIRECT_TO_URL": 1, "REDIRECT_PREFIX": 1, "REDIRECT_TO_POOL": 2}
_COMPARES: dict[str, Callable[[str, str], bool]] = {
    "STARTS_WITH": str.startswith,
    "ENDS_WITH": str.endswith,
    "CONTAINS": str.__contains__,
    "EQUAL_TO": str.__eq__,
    "REGEX": lambda text, value: re.search(value, text) is not None,
}


class Request(Struct, frozen=True, kw_only=True):
    """What L7 rules can tell apart. `header` and `cookie`: values of `HEADER` and `COOKIE`; `encrypted`: whether it
    comes over TLS, and then `client`: the name in the certificate that the client was asked for, if it showed one."""

    host: str = "a.crash.example"
    target: str = "/"
    header: str | None = None
    cookie: str | None = None
    encrypted: bool = False
    client: str | None = None


_REQUESTS = [
    Request(host=host, target=target, header=header, cookie=cookie)
    for host, target, header, cookie in product(
        ("a.crash.example", "B.Crash.Example"),
        ("/", "/one", "/one/two.jpg", "/two.png?one=/one"),
        (None, "yes", "no, yes"),
        (None, "1"),
    )
]


class Expected(Struct, frozen=True, kw_only=True):
    """What a client may see: these members (each of them, if `all_of`), or these statuses. `by`: what decides, for
    people; `wanting`: policies that apply; `pool_id`: whose members they are; `same`: every client from one address is
    answered alike; `weights`: those of the members where each gets that share of all requests."""

    by: str
    wanting: int = 0
    pool_id: str | None = None
    members: frozenset[str] = frozenset()
    all_of: bool = True
    same: bool = False
    statuses: frozenset[int] = frozenset()
    location: str | None = None
    weights: Mapping[str, int] = {}


def listening(balancer: Balancer, listener: Thing) -> bool:
    """Whether connections to it are taken."""
    return bool(balancer.values.get("admin_state_up", True) and listener.values.get("admin_state_up", True))


def admits(listener: Thing, source: str) -> bool:
    """Whether who comes from an address is taken."""
    cidrs = listener.values.get("allowed_cidrs")
    return cidrs is None or any(ip_address(source) in ip_network(cidr) for cidr in cidrs)


def requests(balancer: Balancer, listener: Thing, admitted: Sequence[str | None] = (None,)) -> list[Request]:
    """A plain one by each of the clients that are admitted, and those that a listener's rules tell apart."""
    if listener.values["protocol"] not in HTTP:
        return [Request()]
    encrypted = listener.values["protocol"] == "TERMINATED_HTTPS"
    clients = [Request(encrypted=encrypted, client=client) for client in admitted]
    rules = [rule for policy in balancer.policies(listener.id) for rule in balancer.of("rule", parent=policy.id)]
    told_apart: dict[tuple[bool, ...], Request] = {}
    for request, client in product(_REQUESTS, clients):
        each = replace(request, encrypted=encrypted, client=client.client)
        told_apart.setdefault(tuple(_matches(rule.values, each) for rule in rules), each)
    return [*clients, *(each for each in told_apart.values() if each not in clients)][:_MOST_REQUESTS]


def expected(balancer: Balancer, listener: Thing, request: Request, vip: str | None = None) -> Expected:
    """What is answered to a request. `vip`: the address that it goes to, if not that of the load balancer itself."""
    if listener.values["protocol"] == "UDP" and ip_address(vip or balancer.vip).version != _MEMBERS_VERSION:
        # NAT does not translate between IP versions (docs/datagrams.md).
        return Expected(by="the IP version of its members", statuses=frozenset({503}))
    if listener.values["protocol"] in HTTP:
        order = sorted(balancer.policies(listener.id), key=lambda policy: _RANK[policy.values["action"]])
        applying = [policy for policy in order if _applies(balancer, policy, request)]
        if applying:
            return replace(_switched(balancer, listener, applying[0], request), wanting=len(applying))
    return _from_pool(balancer, listener, listener.values.get("default_pool_id"), "its default pool")


def _applies(balancer: Balancer, policy: Thing, request: Request) -> bool:
    if not is_on(policy.values):
        return False
    if policy.values["action"] == "REDIRECT_TO_POOL" and not is_enabled(balancer, policy.values["redirect_pool_id"]):
        return False
    rules = [rule.values for rule in balancer.of("rule", parent=policy.id) if is_on(rule.values)]
    return bool(rules) and all(_matches(rule, request) for rule in rules)


def _matches(rule: dict[str, Any], request: Request) -> bool:
    value: str = rule["value"]
    inverted: bool = rule.get("invert", False)
    compare = _COMPARES[rule["compare_type"]]
    if rule["type"] == "HOST_NAME":
        value = value.lower()
    if rule["type"] == "FILE_TYPE" and rule["compare_type"] == "EQUAL_TO":
        compare = str.endswith
    return any(compare(text, value) for text in _texts(rule["type"], request)) != inverted


def _texts(kind: str, request: Request) -> list[str]:
    """What a rule of this type compares: one of them has to match."""
    match kind:
        case "HOST_NAME":
            return [request.host.lower()]
        case "PATH" | "FILE_TYPE":
            return [request.target.partition("?")[0]]
        case "HEADER":
            return [each.strip() for each in (request.header or "").split(",") if each]
        case "COOKIE":
            return [request.cookie] if request.cookie is not None else []
        case "SSL_CONN_HAS_CERT":
            return ["true"] if request.client is not None else []
        case "SSL_VERIFY_RESULT":
            return ["0"] if request.encrypted else []
        case "SSL_DN_FIELD":
            return [request.client] if request.client is not None else []
    raise AssertionError(kind)


def _switched(balancer: Balancer, listener: Thing, policy: Thing, request: Request) -> Expected:
    values = policy.values
    by = f"policy {policy.id} at position {values['position']}"
    code = frozenset({values.get("redirect_http_code", 302)})
    match values["action"]:
        case "REJECT":
            return Expected(by=by, statuses=frozenset({403}))
        case "REDIRECT_TO_URL":
            return Expected(by=by, statuses=code, location=values["redirect_url"])
        case "REDIRECT_PREFIX":
            return Expected(by=by, statuses=code, location=values["redirect_prefix"] + request.target)
        case _:
            return _from_pool(balancer, listener, values["redirect_pool_id"], by)


def is_on(values: dict[str, Any]) -> bool:
    """The administrative state."""
    return bool(values.get("admin_state_up", True))


def is_enabled(balancer: Balancer, pool_id: str | None) -> bool:
    """Whether a pool is there and may have traffic."""
    pool = balancer.things.get(pool_id or "")
    return pool is not None and is_on(pool.values)


def usable(balancer: Balancer, pool_id: str) -> list[Thing]:
    """Members that a client can be sent to who was there before: also those that take no others."""
    return [
        member
        for member in balancer.of("member", parent=pool_id)
        if is_on(member.values) and passes(balancer, pool_id, member) is not False
    ]


def passes(balancer: Balancer, pool_id: str, member: Thing) -> bool | None:
    """Whether a member passes its checks; None: nobody checks it."""
    monitor = next(iter(balancer.of("healthmonitor", parent=pool_id)), None)
    if monitor is None or not is_on(monitor.values):
        return None
    if monitor.values["type"] == "PING":
        return True
    port = member.values.get("monitor_port") or member.values["protocol_port"]
    if port == DEAD_PORT or distrusts(balancer, pool_id):
        return False
    if monitor.values["type"] not in ASKING:
        return True
    return str(status(monitor.values["url_path"], port)) in monitor.values["expected_codes"].split(",")


def distrusts(balancer: Balancer, pool_id: str) -> bool:
    """Whether a pool's members are to show a certificate that they do not have."""
    pool = balancer.things[pool_id].values
    return bool(pool.get("tls_enabled") and pool["ca_tls_container_ref"] in balancer.distrusting)


def _from_pool(balancer: Balancer, listener: Thing, pool_id: str | None, by: str) -> Expected:
    nobody = Expected(by=by, pool_id=pool_id, statuses=frozenset({503}))
    if pool_id is None or not is_enabled(balancer, pool_id) or distrusts(balancer, pool_id):
        return nobody
    pool = balancer.things[pool_id].values
    there = [member.values for member in usable(balancer, pool_id)]
    taking = [values for values in there if values.get("weight", 1) > 0]
    # Backups stand in when no other is up; one of weight 0 takes nobody, and counts as not there.
    serving = [values for values in taking if not values.get("backup")] or taking
    alive = _ports(serving)
    remembers = persistence(pool) == "SOURCE_IP"
    if remembers and listener.values["protocol"] != "UDP":
        # Who was at a member stays there when it takes no others any more.
        any_of, free = _ports(there), frozenset({503} if not alive or any(map(_dead, there)) else set[int]())
        return Expected(
            by=by, pool_id=pool_id, members=any_of, all_of=False, same=not any(map(_dead, there)), statuses=free
        )
    if not alive:
        return nobody
    dead = any(map(_dead, serving))
    hashed = remembers or pool["lb_algorithm"] == "SOURCE_IP"
    # Ports that clients have by chance need not lead to everybody.
    by_chance = pool["lb_algorithm"] == "SOURCE_IP_PORT"
    statuses = frozenset({503}) if dead else frozenset[int]()
    in_turn = not dead and not hashed and pool["lb_algorithm"] == "ROUND_ROBIN"
    weights = {str(values["protocol_port"]): values.get("weight", 1) for values in serving if in_turn}
    same = hashed and not dead
    return Expected(
        by=by,
        pool_id=pool_id,
        members=alive,
        all_of=not (hashed or by_chance),
        same=same,
        statuses=statuses,
        weights=weights,
    )


def persistence(pool: dict[str, Any]) -> str | None:
    """The type of a pool's session persistence, if it has any."""
    given = pool.get("session_persistence")
    return None if given is None else given["type"]


def _ports(members: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(str(values["protocol_port"]) for values in members if not _dead(values))


def _dead(values: dict[str, Any]) -> bool:
    return bool(values["protocol_port"] == DEAD_PORT)


def introduces(balancer: Balancer, pool_id: str | None) -> int | None:
    """The version of the PROXY protocol in which the members of a pool are told who the client is, if they are."""
    pool = balancer.things.get(pool_id or "")
    return {"PROXY": 1, "PROXYV2": 2}.get(pool.values["protocol"]) if pool is not None else None


def strict_transport_security(listener: Thing) -> str | None:
    """The header of HSTS that each answer of a listener has (RFC 6797, section 6.1)."""
    values = listener.values
    if values.get("hsts_max_age") is None:
        return None
    parts = {"includeSubDomains": "hsts_include_subdomains", "preload": "hsts_preload"}
    return "; ".join([f"max-age={values['hsts_max_age']}", *(part for part, name in parts.items() if values.get(name))])


def inserted(listener: Thing) -> Iterator[str]:
    """Headers that members are told by the load balancer."""
    if listener.values["protocol"] in HTTP:
        given = listener.values.get("insert_headers") or {}
        yield from (name for name, value in given.items() if value.lower() == "true")
