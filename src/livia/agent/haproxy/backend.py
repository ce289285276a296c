"""A pool of a listener as a backend (contract 95, section 4.2)."""

import re

from livia.agent.haproxy.server import line_words, milliseconds, seconds
from livia.agent.haproxy.text import Section, line, quoted_argument
from livia.agent.haproxy.tls import server_words
from livia.agent.haproxy.verdicts import checked
from livia.agent.haproxy.wiring import backend_name, is_http, mode
from livia.core.model.pool import Algorithm, MonitorType, PersistenceType, PoolProtocol
from livia.core.spec import ListenerSpec, MonitorSpec, PoolSpec

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
#: Likewise for listeners that end TLS: all of the client's certificate, and empty without one. A subject can hold
#: any character, and a header's value cannot.
_TLS_HEADERS = _HEADERS | {
    "X-Forwarded-Proto": "https",
    "X-SSL-Client-Verify": "%[ssl_c_verify]",
    "X-SSL-Client-Has-Cert": "%[ssl_c_used]",
    "X-SSL-Client-DN": "%[ssl_c_s_dn,regsub([[:cntrl:]],?,g)]",
    "X-SSL-Client-CN": "%[ssl_c_s_dn(CN),regsub([[:cntrl:]],?,g)]",
    "X-SSL-Issuer": "%[ssl_c_i_dn,regsub([[:cntrl:]],?,g)]",
    "X-SSL-Client-SHA1": "%[ssl_c_sha1,hex]",
    "X-SSL-Client-Not-Before": "%[ssl_c_notbefore]",
    "X-SSL-Client-Not-After": "%[ssl_c_notafter]",
}
#: entries of a stick table (contract 90, haproxy_stick_size)
_STICK_SIZE = "10k"


def backend(listener: ListenerSpec, pool: PoolSpec, replicated: bool, peers: str) -> Section:
    http = is_http(listener)
    lines = [mode(listener), line("balance", *_BALANCE[pool.algorithm])]
    if pool.algorithm is Algorithm.SOURCE_IP:
        # A map-based hash would take no members at run time (HAProxy manual, section 9.3, add server).
        lines.append("hash-type consistent")
    if http:
        lines.append("http-reuse never" if _sends_proxy(pool) else "http-reuse safe")
        # A member that took it up would speak HTTP/2 to the client past every L7 rule. No client needs it: RFC 9113,
        # section 3.1, has taken it out.
        lines.append("http-request del-header Upgrade if { req.hdr(Upgrade) -i -m sub h2c }")
        # A member that ends the connection without a word may have acted: only what is safe to do twice is sent to
        # another (RFC 9110, section 9.2.2). METH_GET includes HEAD.
        lines += [
            "retry-on conn-failure empty-response",
            "http-request disable-l7-retry unless METH_GET or METH_OPTIONS",
        ]
        # Not in the frontend: L7 rules look at the headers that the client sent.
        headers = _HEADERS if listener.tls is None else _TLS_HEADERS
        lines += [
            line("http-request", "set-header", name, headers[name])
            for name in listener.insert_headers
            if name in headers
        ]
    if pool.persistence is None:
        # The next attempt goes to another member. With persistence only the last one does: a member that restarts
        # keeps its clients.
        lines.append("option redispatch 1")
    lines += [
        "option allbackups",
        line("timeout", "connect", milliseconds(listener.timeout_member_connect)),
        line("timeout", "server", milliseconds(listener.timeout_member_data)),
    ]
    if listener.connection_limit > 0:
        lines.append(line("fullconn", listener.connection_limit))
    lines += _persistence(listener, pool, peers if replicated else None)
    lines += _monitor(pool.monitor) if checked(pool) else []
    encryption = server_words(listener, pool)
    if encryption:
        lines.append(line("default-server", *encryption))
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
    if not is_http(listener):
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


def sticks(listener: ListenerSpec, pool: PoolSpec) -> bool:
    if pool.persistence is None:
        return False
    kind = pool.persistence.type
    return kind is PersistenceType.SOURCE_IP or (kind is PersistenceType.APP_COOKIE and is_http(listener))
