"""A pool of a listener as a backend (contract 95, section 4.2)."""

import re
from collections.abc import Iterable

from livia.agent.haproxy.persistence import persistence
from livia.agent.haproxy.server import milliseconds, seconds
from livia.agent.haproxy.text import Section, line
from livia.agent.haproxy.tls import server_words
from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import backend_name, is_http, mode
from livia.core.model.pool import Algorithm, MonitorType, PoolProtocol
from livia.core.spec import ListenerSpec, MonitorSpec, PoolSpec

_BALANCE = {
    Algorithm.ROUND_ROBIN: ("roundrobin",),
    Algorithm.LEAST_CONNECTIONS: ("leastconn",),
    Algorithm.SOURCE_IP: ("source",),
    Algorithm.SOURCE_IP_PORT: ("hash", "var(txn.client)"),
}
#: algorithms that find the member from the client alone
HASHES = frozenset({Algorithm.SOURCE_IP, Algorithm.SOURCE_IP_PORT})
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
#: Likewise for listeners that end TLS: all of the client's certificate, and empty without one. A subject can hold
#: line breaks: HAProxy writes control characters as %0A and the like.
_TLS_HEADERS = _HEADERS | {
    "X-Forwarded-Proto": "https",
    "X-SSL-Client-Verify": "%[ssl_c_verify]",
    "X-SSL-Client-Has-Cert": "%[ssl_c_used]",
    "X-SSL-Client-DN": "%[ssl_c_s_dn]",
    "X-SSL-Client-CN": "%[ssl_c_s_dn(CN)]",
    "X-SSL-Issuer": "%[ssl_c_i_dn]",
    "X-SSL-Client-SHA1": "%[ssl_c_sha1,hex]",
    "X-SSL-Client-Not-Before": "%[ssl_c_notbefore]",
    "X-SSL-Client-Not-After": "%[ssl_c_notafter]",
}
#: what SOURCE_IP_PORT is a hash of
_CLIENT_AND_PORT = "tcp-request content set-var-fmt(txn.client) %[src]:%[src_port]"


def backend(listener: ListenerSpec, pool: PoolSpec, load_balancer_id: str, servers: Iterable[str]) -> Section:
    """`servers`: the lines of the pool's members."""
    lines = [mode(listener), line("balance", *_BALANCE[pool.algorithm])]
    if pool.algorithm is Algorithm.SOURCE_IP_PORT:
        lines.append(_CLIENT_AND_PORT)
    if pool.algorithm in HASHES:
        # A map-based hash would take no members at run time (HAProxy manual, section 9.3, add server).
        lines.append("hash-type consistent")
    if is_http(listener):
        lines += _http(listener, pool)
    if pool.persistence is None:
        # The next attempt goes to another member. With persistence only the last one does: a member that restarts
        # keeps its clients.
        lines.append("option redispatch 1")
    lines += [
        "option allbackups",
        line("timeout", "connect", milliseconds(listener.timeout_member_connect)),
        line("timeout", "server", milliseconds(listener.timeout_member_data)),
    ]
    # No `fullconn`: it only scales `minconn` of servers, which have none.
    lines += persistence(listener, pool, load_balancer_id)
    lines += _monitor(pool.monitor) if checked(pool) else []
    encryption = server_words(listener, pool)
    if encryption:
        lines.append(line("default-server", *encryption))
    lines += servers
    return Section(line("backend", backend_name(pool.id, listener.id)), tuple(lines))


def _http(listener: ListenerSpec, pool: PoolSpec) -> list[str]:
    """What only a backend that speaks HTTP has."""
    # Not in the frontend: L7 rules look at the headers that the client sent.
    headers = _HEADERS if listener.tls is None else _TLS_HEADERS
    return [
        "http-reuse never" if _sends_proxy(pool) else "http-reuse safe",
        # A member that took it up would speak HTTP/2 to the client past every L7 rule. No client needs it: RFC 9113,
        # section 3.1, has taken it out.
        "http-request del-header Upgrade if { req.hdr(Upgrade) -i -m sub h2c }",
        *_again(pool),
        *(
            line("http-request", "set-header", name, headers[name])
            for name in listener.insert_headers
            if name in headers
        ),
    ]


def _again(pool: PoolSpec) -> list[str]:
    """What is sent to another member when one ends the connection without a word."""
    asked = f"sess.asked.{pool.id.replace('-', '_')}"
    return [
        "retry-on conn-failure empty-response",
        # To be able to, HAProxy copies its whole buffer for each request, a sixth of its work. Members hang up on
        # connections that were idle: who asked within the same second does without. HAProxy then hangs up, too, and
        # the client asks again (RFC 9112, section 9.3.1).
        # The member may have acted: only what is safe to do twice (RFC 9110, section 9.2.2). METH_GET includes HEAD.
        line(
            *("http-request", "disable-l7-retry", "if"),
            *("{", f"date,sub({asked})", "eq", "0", "}", "or", "!METH_GET", "!METH_OPTIONS"),
        ),
        line("http-request", f"set-var({asked})", "date"),
    ]


def _sends_proxy(pool: PoolSpec) -> bool:
    return pool.protocol in (PoolProtocol.PROXY, PoolProtocol.PROXYV2)


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
