"""haproxy.cfg from a spec (contract 95, section 4)."""

import re
from ipaddress import ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from livia.agent.haproxy.backends import backend_name, backends
from livia.agent.haproxy.server import endpoint, line_words, seconds
from livia.agent.haproxy.switching import policies
from livia.agent.haproxy.text import Section, line, quoted_argument
from livia.core.model.listener import ListenerProtocol
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import ListenerSpec, MonitorSpec, PoolSpec, Spec

_BALANCE = {
    Algorithm.ROUND_ROBIN: ("roundrobin",),
    Algorithm.LEAST_CONNECTIONS: ("leastconn",),
    Algorithm.SOURCE_IP: ("source",),
}
_CLIENT = "%[src]"
#: what each header of contract 20, section 4.1, is set to; what the client sent under that name is replaced
_HEADERS = {
    "X-Forwarded-For": _CLIENT,
    "X-Forwarded-Port": "%[dst_port]",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-IP": _CLIENT,
    "X-Client-IP": _CLIENT,
    "X-Real-IP": _CLIENT,
}
#: entries of a stick table (contract 90, haproxy_stick_size)
_STICK_SIZE = "10k"
#: CIDRs on one line: HAProxy reads 64 words
_CIDRS_PER_LINE = 16


class Machine(Struct, frozen=True, kw_only=True):
    """What the file takes from the host. `connections`: of one HAProxy process, client and member side together."""

    connections: int
    user: str = "haproxy"
    group: str = "haproxy"


def render(spec: Spec, machine: Machine) -> str:
    """The whole file. `spec` has passed `check`. Raises InvalidSpecError for what is too long."""
    sections = [_global(spec, machine), _DEFAULTS]
    peers = _peers(spec)
    if peers is not None:
        sections.append(peers)
    sections += [_frontend(spec, listener) for listener in spec.listeners]
    sections += [_backend(listener, pool, peers is not None, _peers_name(spec)) for listener, pool in backends(spec)]
    return "\n".join(section.text() for section in sections)


def skeleton(spec: Spec, machine: Machine) -> str:
    """The file without members: while it stays the same, a change can be made at run time."""
    return render(replace(spec, pools=tuple(replace(pool, members=()) for pool in spec.pools)), machine)


def _global(spec: Spec, machine: Machine) -> Section:
    return Section(
        "global",
        (
            line("user", machine.user),
            line("group", machine.group),
            # One thread carries 12,000 requests a second here; a thousand amphorae share the host's cores.
            "nbthread 1",
            line("maxconn", machine.connections),
            line("localpeer", spec.amphora_id),
            "stats socket unix@h.sock mode 600 level admin expose-fd listeners",
            "stats timeout 1m",
            "server-state-file state",
            # Old processes end with their last connection; these two bound how long and how many.
            "hard-stop-after 12h",
            "mworker-max-reloads 50",
        ),
    )


_DEFAULTS = Section(
    "defaults",
    (
        "retries 3",
        "option redispatch",
        "option dontlognull",
        "load-server-state-from-file global",
        # Every section has its own; these are for HAProxy's warning about sections without.
        "timeout connect 5s",
        "timeout client 50s",
        "timeout server 50s",
    ),
)


def _peers_name(spec: Spec) -> str:
    return f"{spec.load_balancer_id.replace('-', '')}_peers"


def _peers(spec: Spec) -> Section | None:
    """Stick tables of a pair are replicated. A section that no table uses is one that HAProxy warns about."""
    used = any(_sticks(listener, pool) for listener, pool in backends(spec))
    if not spec.peers or not used:
        return None
    return Section(
        line("peers", _peers_name(spec)),
        tuple(line("peer", peer.amphora_id, endpoint(peer.address, peer.port)) for peer in spec.peers),
    )


def _sticks(listener: ListenerSpec, pool: PoolSpec) -> bool:
    if pool.persistence is None:
        return False
    kind = pool.persistence.type
    return kind is PersistenceType.SOURCE_IP or (kind is PersistenceType.APP_COOKIE and _is_http(listener))


def _is_http(listener: ListenerSpec) -> bool:
    return listener.protocol is ListenerProtocol.HTTP


def _mode(listener: ListenerSpec) -> str:
    return "mode http" if _is_http(listener) else "mode tcp"


def _frontend(spec: Spec, listener: ListenerSpec) -> Section:
    lines = [_mode(listener)]
    lines += [line("bind", endpoint(vip.address, listener.port)) for vip in spec.vips]
    if listener.connection_limit > 0:
        lines.append(line("maxconn", listener.connection_limit))
    lines.append(line("timeout", "client", listener.timeout_client_data))
    lines += _allowed(listener.allowed_cidrs)
    if listener.timeout_tcp_inspect > 0 and not _is_http(listener):
        lines.append(line("tcp-request", "inspect-delay", listener.timeout_tcp_inspect))
    if _is_http(listener):
        # On reload the old process answers one more request on an idle connection instead of closing it.
        lines.append("option idle-close-on-response")
        lines += policies(listener)
    if listener.default_pool_id is not None:
        lines.append(line("default_backend", backend_name(listener.default_pool_id, listener.id)))
    return Section(line("frontend", listener.id), tuple(lines))


def _allowed(cidrs: tuple[str, ...]) -> list[str]:
    """Others are cut off before anything is read from them. Lines of one ACL are alternatives."""
    if not cidrs:
        return []
    networks = [str(ip_network(cidr, strict=False)) for cidr in cidrs]
    lines = [
        line("acl", "allowed_client", "src", *networks[start : start + _CIDRS_PER_LINE])
        for start in range(0, len(networks), _CIDRS_PER_LINE)
    ]
    return [*lines, line("tcp-request", "connection", "reject", "unless", "allowed_client")]


def _backend(listener: ListenerSpec, pool: PoolSpec, replicated: bool, peers: str) -> Section:
    http = _is_http(listener)
    lines = [_mode(listener), line("balance", *_BALANCE[pool.algorithm])]
    if pool.algorithm is Algorithm.SOURCE_IP:
        # A map-based hash would take no members at run time (HAProxy manual, section 9.3, add server).
        lines.append("hash-type consistent")
    if http:
        lines.append("http-reuse never" if _sends_proxy(pool) else "http-reuse safe")
        # Not in the frontend: L7 rules look at the headers that the client sent.
        lines += [
            line("http-request", "set-header", name, _HEADERS[name])
            for name in listener.insert_headers
            if name in _HEADERS
        ]
    lines += [
        "option allbackups",
        line("timeout", "connect", listener.timeout_member_connect),
        line("timeout", "server", listener.timeout_member_data),
    ]
    if listener.connection_limit > 0:
        lines.append(line("fullconn", listener.connection_limit))
    lines += _persistence(listener, pool, peers if replicated else None)
    lines += _monitor(pool.monitor)
    lines += [line(*line_words(pool, member, http=http)) for member in pool.members]
    return Section(line("backend", backend_name(pool.id, listener.id)), tuple(lines))


def _sends_proxy(pool: PoolSpec) -> bool:
    return pool.protocol in (PoolProtocol.PROXY, PoolProtocol.PROXYV2)


def _persistence(listener: ListenerSpec, pool: PoolSpec, peers: str | None) -> list[str]:
    persistence = pool.persistence
    replication = ["peers", peers] if peers is not None else []
    if persistence is None:
        return []
    if persistence.type is PersistenceType.SOURCE_IP:
        return [line("stick-table", "type", "ipv6", "size", _STICK_SIZE, *replication), "stick on src"]
    if not _is_http(listener):
        # There are no cookies in a byte stream.
        return []
    if persistence.type is PersistenceType.HTTP_COOKIE:
        return ["cookie SRV insert indirect nocache"]
    cookie = quoted_argument(persistence.cookie_name or "")
    return [
        line("stick-table", "type", "string", "len", 64, "size", _STICK_SIZE, *replication),
        line("stick", "store-response", f"res.cook({cookie})"),
        line("stick", "match", f"req.cook({cookie})"),
    ]


def _monitor(monitor: MonitorSpec | None) -> list[str]:
    if monitor is None:
        return []
    lines = [line("timeout", "check", seconds(monitor.timeout))]
    if monitor.type not in (MonitorType.HTTP, MonitorType.HTTPS):
        return lines
    modern = monitor.http_version == 1.1
    send = ["http-check", "send", "meth", monitor.http_method or "GET", "uri", monitor.url_path or "/"]
    send += ["ver", "HTTP/1.1" if modern else "HTTP/1.0"]
    if modern and monitor.domain_name is not None:
        send += ["hdr", "Host", monitor.domain_name]
    codes = _codes(monitor.expected_codes or "200")
    return [*lines, "option httpchk", line(*send), line("http-check", "expect", "status", codes)]


def _codes(text: str) -> str:
    if "-" in text:
        # HAProxy takes no range that runs backwards; the API does (contract 40, section 3.1).
        return "-".join(sorted(text.strip().split("-")))
    return re.sub(r"\s+", "", text)


def bound_addresses(spec: Spec) -> frozenset[str]:
    """The VIPs in the form that the kernel lists them in."""
    return frozenset(str(ip_address(vip.address)) for vip in spec.vips)
